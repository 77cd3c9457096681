import colors from 'picocolors'
import { deviceText } from '../fleet/devices.ts'
import type { TimelineEntry } from '../fleet/timeline.ts'
import type { Boot } from '../state/boots.ts'
import type { Hold } from '../state/channels.ts'
import type { Hardware } from '../state/hardware.ts'
import type { Assignment, NodeRecord } from '../state/nodes.ts'
import type { Tries } from '../state/tries.ts'
import { shortDigest } from '../store/digest.ts'
import { bytesText, durationText, table, timeText } from './output.ts'

interface ShownBoot extends Omit<Boot, 'stages'> {
  readonly stages: readonly TimelineEntry[]
}

/** What `GET /v1/nodes/:mac` answers. */
export interface NodeDetails {
  readonly node: NodeRecord
  readonly assignment: (Assignment & { readonly via: string }) | null
  /** What it gets when it asks now: another bundle where it had its tries with the one assigned. */
  readonly answer: { readonly bundle?: string; readonly gaveUp?: string }
  readonly tries: Tries
  readonly hold: Hold | null
  /** What it told of its devices. */
  readonly hardware: Hardware | null
  readonly boots: readonly ShownBoot[]
}

/** What a node or a group boots, as `apache (stable)` or `apache @ 3f2a…`. */
export function assignmentText(assignment: Assignment | null | undefined): string {
  if (!assignment) return '–'
  const { blueprint } = assignment
  return 'bundle' in assignment
    ? `${blueprint} @ ${shortDigest(assignment.bundle)}`
    : `${blueprint} (${assignment.channel})`
}

/** A node, what it is assigned to, and its newest boots as timelines. */
export async function renderNode(
  { node, assignment, boots, hardware, ...troubles }: NodeDetails,
  count: number,
): Promise<string> {
  const facts: [string, string][] = [['node', node.mac]]
  if (node.hostname) facts.push(['hostname', node.hostname])
  if (node.groups.length) facts.push(['groups', node.groups.join(', ')])
  if (node.power) facts.push(['power', node.power])
  const via = assignment && assignment.via !== 'node' ? `, by ${assignment.via}` : ''
  facts.push(['boots', assignmentText(assignment) + via])
  facts.push(...learningFacts(node))
  facts.push(...troubleFacts(troubles))
  facts.push(...hardwareFacts(hardware))
  const parts = [facts.map(([name, value]) => `${colors.dim(name.padEnd(9))}${value}`).join('\n')]
  for (const boot of boots.slice(0, count)) parts.push(await renderBoot(boot))
  if (boots.length === 0) parts.push('It has not booted yet.')
  return parts.join('\n\n')
}

/** What it boots for the time being, and what afterwards. */
function learningFacts({ learning, assignment }: NodeRecord): [string, string][] {
  if (!learning) return []
  const { blueprint, since, until } = learning
  const end = until === undefined ? `until \`bootloom observe ${blueprint} --stop\`` : `until ${timeText(until)}`
  const after = assignment ? `; then ${assignmentText(assignment)}` : ''
  return [['learns', colors.cyan(`the full stack of ${blueprint}, since ${timeText(since)}, ${end}${after}`)]]
}

function troubleFacts({ answer, tries, hold }: Pick<NodeDetails, 'answer' | 'tries' | 'hold'>): [string, string][] {
  const facts: [string, string][] = []
  for (const { bundle, boots } of tries) {
    const times = boots.length === 1 ? 'once' : `${boots.length} times`
    facts.push(['tried', `${shortDigest(bundle)} ${times} without being ready`])
  }
  if (answer.gaveUp !== undefined && answer.bundle !== undefined) {
    const instead = `${shortDigest(answer.bundle)} instead of ${shortDigest(answer.gaveUp)}`
    const nothing = `${shortDigest(answer.gaveUp)} all the same: no other bundle was ever ready`
    facts.push(['gets', colors.red(answer.bundle === answer.gaveUp ? nothing : instead)])
  }
  if (hold) facts.push(['on hold', colors.yellow(`${shortDigest(hold.bundle)} since ${timeText(hold.at)}`)])
  return facts
}

/** Its PCI devices by class and id, and how many others it told of. */
function hardwareFacts(hardware: Hardware | null): [string, string][] {
  if (!hardware) return []
  const devices = hardware.modaliases.map(deviceText)
  const named = devices.filter((text, index) => text !== hardware.modaliases[index])
  const others = devices.length - named.length
  const told = `told ${timeText(hardware.at)}; all of them with --json`
  return [
    ['hardware', `${devices.length} devices, ${told}`],
    ...named.map((text): [string, string] => ['', text]),
    ...(others > 0 ? [['', `and ${others} of the board itself`] as [string, string]] : []),
  ]
}

/** Each stage with the time since the first one, what it took, and the bytes sent for it. */
async function renderBoot(boot: ShownBoot): Promise<string> {
  const size = await bytesText()
  const rows = boot.stages.map((entry) => {
    const bytes = entry.bytes === undefined ? '' : size(entry.bytes)
    return [entry.stage, durationText(entry.since), durationText(entry.took), bytes, entry.detail ?? '']
  })
  const end = boot.outcome === undefined ? undefined : boot.stages.findLast(({ stage }) => stage === boot.outcome)
  const took = durationText((end?.at ?? boot.updatedAt) - boot.openedAt)
  const other = boot.gaveUp !== undefined && boot.gaveUp !== boot.bundle
  const instead = other ? ` instead of ${shortDigest(boot.gaveUp!)}` : ''
  const bundle =
    boot.bundle === undefined ? '' : `, ${boot.blueprint ?? 'bundle'} @ ${shortDigest(boot.bundle)}${instead}`
  const state = boot.outcome === undefined ? `under way for ${took}` : `${boot.outcome} after ${took}`
  const heading = `boot of ${timeText(boot.openedAt)}${bundle}: ${colors.bold(state)}`
  const why = [...(boot.reason ? [`reason: ${boot.reason}`] : []), ...(boot.lines ?? []).map((line) => `  ${line}`)]
  return [heading, await table(['stage', '>at', '>took', '>bytes', 'detail'], rows), ...why].join('\n')
}
