import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import colors from 'picocolors'
import type { Rollout, RolloutNode } from '../state/rollouts.ts'
import { shortDigest } from '../store/digest.ts'
import { globalsOf } from './command.ts'
import { ageText, table } from './output.ts'

/** What `GET /v1/rollouts/:name` answers. */
export interface RolloutDetails {
  readonly rollout: Rollout
  readonly nodes: readonly RolloutNode[]
}

const over = new Set<Rollout['state']>(['done', 'stopped', 'aborted'])
/** Milliseconds between two looks. */
const every = 500

/** Shows a rollout until it is over: drawn anew in place on a terminal, a line for each change elsewhere. */
export async function followRollout(command: Command, ask: () => Promise<RolloutDetails>): Promise<void> {
  const json = globalsOf(command).json === true
  const live = !json && process.stdout.isTTY
  let told = new Map<string, string>()
  let drawn = 0
  let last = ''
  for (;;) {
    const details = await ask()
    const { rollout, nodes } = details
    if (json) {
      const text = JSON.stringify(details)
      if (text !== last) process.stdout.write(`${text}\n`)
      last = text
    } else if (live) {
      const text = await renderRollout(details)
      process.stdout.write(`${drawn > 0 ? `\u001b[${drawn}A\u001b[J` : ''}${text}\n`)
      drawn = text.split('\n').length
    } else {
      const now = new Map(nodes.map((node) => [node.mac, wordsOf(node)]))
      for (const [mac, words] of now) if (told.get(mac) !== words) process.stdout.write(`${mac} ${words}\n`)
      told = now
    }
    if (over.has(rollout.state)) {
      if (!json && !live) process.stdout.write(`${summaryOf(details)}\n`)
      if (rollout.state !== 'done') process.exitCode = 1
      return
    }
    await sleep(every)
  }
}

/** A rollout with its nodes; of more than fifty, those that have something to tell. */
export async function renderRollout(details: RolloutDetails): Promise<string> {
  const { rollout, nodes } = details
  if (rollout.state === 'stopped' || rollout.state === 'aborted') process.exitCode = 1
  const shown = nodes.length > 50 ? nodes.filter(({ step }) => step !== 'waiting' && step !== 'done') : nodes
  const rows = shown.map((node) => [node.mac, wordsOf(node), ageText(Date.now() - node.since)])
  return [summaryOf(details), ...(rows.length > 0 ? [await table(['node', 'state', '>for'], rows)] : [])].join('\n')
}

function summaryOf({ rollout, nodes }: RolloutDetails): string {
  const count = (is: (node: RolloutNode) => boolean) => nodes.filter(is).length
  const moved = count(({ way, step }) => way === 'out' && step === 'done')
  const parts = [
    `${moved} of ${nodes.length} moved`,
    ...counted(
      count(({ failed }) => failed !== undefined),
      'failed',
    ),
    ...counted(
      count(({ step }) => step === 'skipped'),
      'passed over',
    ),
    ...counted(
      count(({ step }) => step === 'lost'),
      'lost',
    ),
  ]
  const { blueprint, channel, from, to, state, reason } = rollout
  const why = reason === undefined ? '' : `\n${colors.red(reason)}`
  const heading = `${colors.bold(blueprint)} (${channel}): ${shortDigest(from)} → ${shortDigest(to)}`
  return `${heading}: ${colors.bold(state)}, ${parts.join(', ')}${why}`
}

const counted = (count: number, what: string): string[] => (count === 0 ? [] : [`${count} ${what}`])

const steps: Readonly<Record<RolloutNode['way'], Readonly<Record<RolloutNode['step'], string>>>> = {
  out: {
    waiting: 'waits for its turn',
    drain: 'is drained',
    boot: 'boots',
    undrain: 'is taken up again',
    done: 'moved',
    skipped: 'passed over',
    lost: 'lost',
  },
  back: {
    waiting: 'waits to be brought back',
    drain: 'is drained to be brought back',
    boot: 'is brought back',
    undrain: 'is taken up again',
    done: 'is back',
    skipped: 'passed over',
    lost: 'lost',
  },
}

function wordsOf({ way, step, failed, reason }: RolloutNode): string {
  const why = [failed, reason].filter((text) => text !== undefined).join('; ')
  const words = steps[way][step]
  const shown =
    step === 'lost' || failed !== undefined ? colors.red(words) : step === 'done' ? colors.green(words) : words
  return why === '' ? shown : `${shown}: ${why}`
}
