import type { Command } from 'commander'
import colors from 'picocolors'
import type { Channel, ChannelMove, ChannelName, Hold } from '../state/channels.ts'
import { shortDigest } from '../store/digest.ts'
import { withApi } from './api.ts'
import { addCommand, addNoun } from './command.ts'
import { printResult, remark, table, timeText } from './output.ts'

interface ChannelsRow {
  readonly blueprint: string
  readonly stable?: string
  readonly candidate?: string
  readonly hold?: Hold
}

export const channelPath = (blueprint: string): string => `/v1/channels/${encodeURIComponent(blueprint)}`

const short = (digest: string | null | undefined): string => (digest ? shortDigest(digest) : '–')

export function addChannel(program: Command): void {
  const channel = addNoun(program, 'channel', "A blueprint's pointers to bundles: candidate and stable.")

  addCommand(channel, {
    words: 'list',
    description: 'List the channels of all blueprints, and what is on hold.',
    example: 'bootloom channel list',
  }).action(async (_options: unknown, command: Command) => {
    const rows = await withApi(command, (api) => api.get<readonly ChannelsRow[]>('/v1/channels'))
    if (rows.length === 0) remark(command, 'No channel points anywhere yet: `bootloom compose NAME` weaves a bundle.')
    await printResult(command, rows, (all) =>
      table(
        ['blueprint', 'stable', 'candidate', 'on hold'],
        all.map(({ blueprint, stable, candidate, hold }) => [
          blueprint,
          short(stable),
          short(candidate),
          hold ? colors.yellow(`${short(hold.bundle)} since ${timeText(hold.at)}, by ${hold.mac}`) : '',
        ]),
      ),
    )
  })

  addCommand(channel, {
    words: 'history <name>',
    description: "List the moves of a blueprint's channels, newest first.",
    example: 'bootloom channel history apache',
  }).action(async (name: string, _options: unknown, command: Command) => {
    const channels = await withApi(command, (api) => api.get<Partial<Record<ChannelName, Channel>>>(channelPath(name)))
    const moves = Object.entries(channels).flatMap(([of, { history }]) =>
      history.map((move) => ({ channel: of, ...move })),
    )
    moves.sort((a, b) => b.at - a.at)
    await printResult(command, moves, (all) => table(['at', 'channel', 'from', 'to', 'why'], all.map(moveCells)))
  })

  addCommand(channel, {
    words: 'release <name>',
    description: 'End the hold on a bundle that a node did not come up with, and let every node try it again.',
    example: 'bootloom channel release apache',
  }).action(async (name: string, _options: unknown, command: Command) => {
    const path = `${channelPath(name)}/release`
    const result = await withApi(command, (api) => api.send<{ released: boolean }>('POST', path, {}))
    const done = result.released ? 'is released' : 'was not on hold'
    await printResult(command, result, () => `${name} ${done}; its nodes may try every bundle again`)
  })
}

const moveCells = ({ channel, at, from, to, reason }: ChannelMove & { readonly channel: string }): string[] => [
  timeText(at),
  channel,
  short(from),
  short(to),
  reason,
]
