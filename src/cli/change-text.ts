import colors from 'picocolors'
import type { Change, ChangePart, PartState } from '../state/changes.ts'
import { shortDigest } from '../store/digest.ts'
import { bytesText, durationText, timeText } from './output.ts'

type Part = Change['parts'][number]

const tones: Partial<Record<PartState, (text: string) => string>> = {
  promoted: colors.green,
  held: colors.red,
  waiting: colors.yellow,
}

export const stateText = ({ state }: ChangePart): string => (tones[state] ?? String)(state)

/** A change as a person reads it: what it brings, and its way with each blueprint. */
export async function renderChange({ id, at, parts }: Change, cause: string): Promise<string> {
  const bytes = await bytesText()
  return [
    `${colors.bold(`change ${id}`)}  ${timeText(at)}  ${cause}`,
    ...parts.flatMap((part) => ['', ...partLines(part, bytes)]),
  ].join('\n')
}

function partLines(part: Part, bytes: (value: number) => string): string[] {
  const { blueprint, why, bundle, base, updates, impact, verified, error, moved, history } = part
  const lines = [`${colors.bold(blueprint)}  ${stateText(part)}${why ? `: ${why}` : ''}`]
  const from = base?.bundle ? shortDigest(base.bundle) : 'nothing'
  if (bundle) lines.push(`  bundle   ${from} → ${shortDigest(bundle)}`)
  for (const update of updates.slice(0, mostLines)) lines.push(`  brings   ${updateText(update)}`)
  if (updates.length > mostLines) lines.push(`           and ${updates.length - mostLines} more`)
  if (impact && impact.files > 0) {
    const more = impact.files > 3 ? ` and ${impact.files - 3} more` : ''
    lines.push(`  changes  ${impact.paths.slice(0, 3).join(', ')}${more}`)
  }
  if (verified) lines.push(`  shown    ${figuresText(verified.figures, bytes)} (${verified.by})`)
  for (const finding of verified?.findings ?? []) lines.push(`  found    ${finding}`)
  for (const told of verified?.notes.slice(0, mostLines) ?? []) lines.push(`  told     ${told}`)
  for (const detail of error?.details?.slice(0, mostLines) ?? []) lines.push(`  error    ${detail}`)
  for (const { channel, from: before, to } of moved) {
    lines.push(`  channel  ${channel}: ${before ? shortDigest(before) : 'nothing'} → ${shortDigest(to)}`)
  }
  for (const { state, at, took, note } of history) {
    const took_ = took === undefined ? '' : `  took ${durationText(took)}`
    lines.push(`  ${timeText(at)}  ${state}${took_}${note ? `  ${note}` : ''}`)
  }
  return [...lines, ...links(part)]
}

/** Where more is to be read of what it is about. */
function links({ blueprint, bundle, moved, updates, verified }: Part): string[] {
  const shown = bundle ? [`bootloom bundle show ${shortDigest(bundle)}`] : []
  const channels = moved.length > 0 ? [`bootloom channel history ${blueprint}`] : []
  const [flaw] = updates.flatMap(({ fixes }) => fixes)
  const impact = flaw ? [`bootloom impact --cve ${flaw}`] : []
  const node = verified && /^[0-9a-f:]{17}$/.test(verified.by) ? [`bootloom node show ${verified.by}`] : []
  const all = [...shown, ...channels, ...impact, ...node]
  return all.length > 0 ? [colors.dim(`  see      ${all.join(', ')}`)] : []
}

const mostLines = 12

function updateText({ kind, name, from, to, files, fixes, pinned }: Part['updates'][number]): string {
  if (pinned) return `${name} stays on ${from}, though there is ${to}: it is pinned`
  const versions = kind === 'tree' ? '' : ` ${from ?? 'none'} → ${to}`
  const differing = files > 0 ? `, ${files} files of the bundle differ` : ''
  return `${name}${versions}${differing}${fixes.length > 0 ? `, mends ${fixes.join(', ')}` : ''}`
}

function figuresText(figures: Readonly<Record<string, number>>, bytes: (value: number) => string): string {
  const one = (name: string, text: (value: number) => string): string[] => {
    const [now, before] = [figures[name], figures[`${name}Before`]]
    if (now === undefined) return []
    return [`${name} ${text(now)}${before === undefined ? '' : ` (before ${text(before)})`}`]
  }
  const told = [...one('boot', durationText), ...one('memory', bytes), ...one('size', bytes)]
  return told.length === 0 ? 'nothing' : told.join(', ')
}
