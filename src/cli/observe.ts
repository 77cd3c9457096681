import { type Command, InvalidArgumentError, Option } from 'commander'
import type { ObserveReport } from '../change/report.ts'
import { BootloomError } from '../config/errors.ts'
import { type Api, withApi } from './api.ts'
import { blueprintPath, ensureApplied } from './apply.ts'
import { addCommand } from './command.ts'
import { durationText, printResult, remark } from './output.ts'

interface ObserveFlags {
  readonly method?: string
  readonly node?: string
  readonly for?: number
  readonly stop?: true
  readonly fresh?: true
  readonly watch?: true
  readonly diff?: true
}

export function addObserve(program: Command): void {
  addCommand(program, {
    words: 'observe <name>',
    description: 'Watch a blueprint’s application run, and add every file that it touches to what is known.',
    example: 'bootloom observe apache --diff',
  })
    .addOption(
      new Option(
        '--method <method>',
        'strace sees most; fanotify slows nothing down; node: the full stack on a node, under real traffic',
      ).choices(['strace', 'fanotify', 'node']),
    )
    .option('--node <mac>', 'the node that learns, from its next start on')
    .option('--for <time>', 'end by itself after such a time (90s, 10m, 8h, 7d), instead of at Ctrl-C', secondsOf)
    .option('--stop', 'end what nodes learn for it; they boot what they are assigned at their next start')
    .option('--fresh', 'forget what earlier runs found')
    .option('--watch', 'show files as they are touched')
    .option('--diff', 'list what this run added to those before it')
    .addHelpText(
      'after',
      `
NAME is an applied blueprint, a ready-made one (apache, redis), or a blueprint file.
What services touch at their stop, a node tells when it is booted anew while it learns: bootloom node reboot MAC.`,
    )
    .action(async (nameOrFile: string, { diff, ...flags }: ObserveFlags, command: Command) => {
      requireFit(flags)
      const outcome = await withApi(command, async (api) => {
        const name = flags.stop ? nameOrFile : await ensureApplied(command, api, nameOrFile)
        return observed(api, blueprintPath(name), flags, command)
      })
      await printResult(command, outcome, (reports) =>
        [reports]
          .flat()
          .map((report) => render(report, diff ?? false))
          .join('\n'),
      )
    })
}

function observed(
  api: Api,
  path: string,
  { method, node, for: seconds, stop, fresh, watch }: ObserveFlags,
  command: Command,
): Promise<ObserveReport | ObserveReport[]> {
  const end = () => api.send<ObserveReport[]>('POST', `${path}/learn/stop`, node === undefined ? {} : { node })
  if (stop) return end()
  if (method !== 'node') return api.job<ObserveReport>(`${path}/observe`, { method, fresh, watch })
  if (seconds === undefined)
    remark(command, 'Ctrl-C ends it and keeps what was learned; so does --stop from elsewhere.')
  return api.job<ObserveReport>(`${path}/learn`, { node, seconds, fresh, watch }, end).catch((error: unknown) => {
    if (!(error instanceof BootloomError) || error.code !== 'SERVER_NOT_RUNNING') throw error
    const hint = 'What the node learns goes on. The same command follows it again, --stop ends it.'
    throw new BootloomError(error.code, error.message, { hint, cause: error })
  })
}

function requireFit({ method, node, for: seconds, stop }: ObserveFlags): void {
  const onNode = method === 'node'
  if (onNode && node === undefined) throw new BootloomError('USAGE', '--method node needs --node MAC')
  if (stop && (onNode || seconds !== undefined)) throw new BootloomError('USAGE', '--stop takes --node alone')
  if (!onNode && !stop && (node !== undefined || seconds !== undefined)) {
    throw new BootloomError('USAGE', '--node and --for are of --method node')
  }
}

const units: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

function secondsOf(text: string): number {
  const [, number, unit] = /^(\d{1,7})([smhd])$/.exec(text) ?? []
  const seconds = Number(number) * (units[unit ?? ''] ?? Number.NaN)
  if (seconds >= 1 && seconds <= 90 * 86_400) return seconds
  throw new InvalidArgumentError('a time such as 90s, 10m, 8h or 7d; 90 days at most')
}

function render({ blueprint, methods, paths, added, seconds }: ObserveReport, isDiff: boolean): string {
  const took = durationText(seconds * 1000)
  const news = added === null ? '' : `, ${added.length} of them for the first time`
  return [
    ...(isDiff ? (added ?? []).map((path) => `+ ${path}`) : []),
    `${blueprint} was observed in ${took} by ${methods.join(' and ')}: ${paths} paths touched${news}; next: bootloom compose ${blueprint}`,
  ].join('\n')
}
