import type { Command } from 'commander'
import { BootloomError } from '../config/errors.ts'
import type { Rollout } from '../state/rollouts.ts'
import { shortDigest } from '../store/digest.ts'
import { withApi } from './api.ts'
import { addCommand, addNoun } from './command.ts'
import { printResult, remark, table, timeText } from './output.ts'
import { followRollout, type RolloutDetails, renderRollout } from './rollout-view.ts'

interface StartOptions {
  readonly to?: string
  readonly channel?: string
  readonly batch?: string
  readonly maxFailures?: string
  readonly deadline?: string
  readonly drain?: string
  readonly undrain?: string
  readonly canary?: string
  readonly full?: true
  readonly follow?: true
}

const pathOf = (name: string): string => `/v1/rollouts/${encodeURIComponent(name)}`

export function addRollout(program: Command): void {
  const rollout = addNoun(
    program,
    'rollout',
    'Brings a bundle to running nodes, some at a time, and back when they fail.',
  )

  addCommand(rollout, {
    words: 'start <name>',
    description:
      'Boot the nodes of a blueprint into another bundle: one first, then in batches. When nodes do not come up it stops, and those that moved are brought back; when all did, the channel moves.',
    example: 'bootloom rollout start apache --to candidate --batch 10% --max-failures 1 --follow',
  })
    .option('--to <bundle>', 'the bundle: a channel, or the first digits of a digest; default candidate')
    .option('--channel <channel>', 'the channel whose nodes are moved, and which moves with them; default stable')
    .option('--batch <count>', 'nodes at once: a number, or a share of them; default 10%')
    .option('--max-failures <count>', 'nodes that did not come up at which it stops; default 1')
    .option('--deadline <time>', 'what a node has to be ready again, as 90s or 5m; default 5m')
    .option('--drain <command>', 'run on the server before a node is told; NODE_MAC and NODE_ADDRESS say which')
    .option('--undrain <command>', 'run on the server once it is ready again')
    .option('--canary <mac>', 'the node that goes first')
    .option('--full', 'through the firmware of the nodes, though they could jump')
    .option('--follow', 'show it until it is over')
    .action(async (name: string, { follow, ...options }: StartOptions, command: Command) => {
      const { maxFailures, deadline, ...rest } = options
      const body = {
        blueprint: name,
        ...rest,
        ...(maxFailures === undefined ? {} : { maxFailures: Number(maxFailures) }),
        ...(deadline === undefined ? {} : { deadline: secondsOf(deadline) }),
      }
      await withApi(command, async (api) => {
        const started = await api.send<Rollout>('POST', '/v1/rollouts', body)
        if (follow) return followRollout(command, () => api.get<RolloutDetails>(pathOf(name)))
        await printResult(
          command,
          started,
          ({ to, batch }) => `${name} is rolled out to ${shortDigest(to)}, ${batch} at once`,
        )
        remark(command, `\`bootloom rollout status ${name} --follow\` shows how far it is.`)
      })
    })

  addCommand(rollout, {
    words: 'status <name>',
    description: 'Show how far a rollout is, node by node; exit status 1 when it was stopped.',
    example: 'bootloom rollout status apache --follow',
  })
    .option('--follow', 'show it until it is over; with --json one JSON object a line')
    .action(async (name: string, { follow }: { follow?: true }, command: Command) => {
      await withApi(command, async (api) => {
        const ask = () => api.get<RolloutDetails>(pathOf(name))
        if (follow) return followRollout(command, ask)
        await printResult(command, await ask(), renderRollout)
      })
    })

  for (const [verb, description, done] of [
    ['pause', 'Begin no further node; those under way go on.', 'is paused'],
    ['resume', 'Go on with a paused rollout.', 'goes on'],
    ['abort', 'End a rollout, and bring the nodes that moved back.', 'is being undone'],
  ] as const) {
    const example = `bootloom rollout ${verb} apache`
    addCommand(rollout, { words: `${verb} <name>`, description, example }).action(
      async (name: string, _options: unknown, command: Command) => {
        const result = await withApi(command, (api) => api.send<Rollout>('POST', `${pathOf(name)}/${verb}`, {}))
        await printResult(command, result, () => `the rollout of ${name} ${done}`)
      },
    )
  }

  addCommand(rollout, {
    words: 'list',
    description: 'List the last rollout of each blueprint.',
    example: 'bootloom rollout list',
  }).action(async (_options: unknown, command: Command) => {
    const rollouts = await withApi(command, (api) => api.get<readonly Rollout[]>('/v1/rollouts'))
    if (rollouts.length === 0) remark(command, 'No rollout yet: `bootloom rollout start NAME` begins one.')
    await printResult(command, rollouts, (all) =>
      table(
        ['blueprint', 'channel', 'from', 'to', 'state', 'started', 'why'],
        all.map(({ blueprint, channel, from, to, state, startedAt, reason = '' }) => [
          ...[blueprint, channel, shortDigest(from), shortDigest(to), state, timeText(startedAt), reason],
        ]),
      ),
    )
  })
}

function secondsOf(text: string): number {
  const [, number, unit] = /^(\d{1,6})([smh]?)$/.exec(text) ?? []
  if (number === undefined) throw new BootloomError('USAGE', `"${text}" is no time`, { hint: 'As 90s, 5m or 1h.' })
  return Number(number) * { '': 1, s: 1, m: 60, h: 3600 }[unit as '' | 's' | 'm' | 'h']
}
