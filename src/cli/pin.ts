import type { Command } from 'commander'
import { BootloomError } from '../config/errors.ts'
import type { Pin } from '../state/pins.ts'
import { withApi } from './api.ts'
import { addCommand, addNoun } from './command.ts'
import { ageText, printResult, remark, table } from './output.ts'

const pinPath = (blueprint: string, name: string): string =>
  `/v1/pins/${encodeURIComponent(blueprint)}/${encodeURIComponent(name)}`

export function addPin(program: Command): void {
  const pin = addNoun(
    program,
    'pin',
    'Packages that one application keeps at a version, until a date and for a reason.',
  )

  addCommand(pin, {
    words: 'set <name> <package=version>',
    description: 'Keep a package of a blueprint at a version, whatever newer ones the sources offer.',
    example: 'bootloom pin set shop-frontend libssl3=3.0.20-1~deb12u2 --until 2031-03-01 --reason TICKET-17',
  })
    .requiredOption('--until <date>', 'the last day on which it holds, as 2031-03-01 (UTC)')
    .requiredOption('--reason <text>', 'why')
    .action(async (name: string, words: string, options: { until: string; reason: string }, command: Command) => {
      const [packageName = '', version] = words.split(/=(.*)/s)
      if (!version) throw new BootloomError('USAGE', 'a pin names the package and its version, as libssl3=3.0.20-1')
      const set = await withApi(command, (api) =>
        api.send<Pin>('PUT', pinPath(name, packageName), { version, ...options }),
      )
      await printResult(command, set, () => `${name} stays on ${packageName} ${version} until ${options.until}`)
    })

  addCommand(pin, { words: 'list', description: 'List the pins with their age.', example: 'bootloom pin list' }).action(
    async (_options: unknown, command: Command) => {
      const pins = await withApi(command, (api) => api.get<readonly Pin[]>('/v1/pins'))
      if (pins.length === 0) remark(command, 'No pin.')
      await printResult(command, pins, (rows) =>
        table(['blueprint', 'package', 'version', '>age', 'until', 'reason'], rows.map(cells)),
      )
    },
  )

  addCommand(pin, {
    words: 'remove <name> <package>',
    description: 'Let a package of a blueprint move on again.',
    example: 'bootloom pin remove shop-frontend libssl3',
  }).action(async (name: string, packageName: string, _options: unknown, command: Command) => {
    const removed = await withApi(command, (api) => api.send('DELETE', pinPath(name, packageName)))
    await printResult(command, removed, () => `${packageName} of ${name} moves on again`)
  })
}

const cells = ({ blueprint, package: name, version, at, until, reason }: Pin): (string | number)[] => [
  blueprint,
  name,
  version,
  ageText(Date.now() - at),
  Date.now() < until ? lastDay(until) : `${lastDay(until)}, ended`,
  reason,
]

/** `until` is where the last day ends. */
const lastDay = (until: number): string => new Date(until - 1).toISOString().slice(0, 10)

/** `3.0.20-1 for 12 d, until 2031-03-01: TICKET-17` */
export const pinText = ({ version, at, until, reason }: Pin): string =>
  `${version} for ${ageText(Date.now() - at)}, until ${lastDay(until)}: ${reason}`
