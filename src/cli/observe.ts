import { type Command, Option } from 'commander'
import type { ObserveReport } from '../change/report.ts'
import { withApi } from './api.ts'
import { blueprintPath, ensureApplied } from './apply.ts'
import { addCommand } from './command.ts'
import { durationText, printResult } from './output.ts'

interface ObserveFlags {
  readonly method?: string
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
      new Option('--method <method>', 'strace sees most; fanotify slows nothing down').choices(['strace', 'fanotify']),
    )
    .option('--fresh', 'forget what earlier runs found')
    .option('--watch', 'show files as they are touched')
    .option('--diff', 'list what this run added to those before it')
    .addHelpText('after', '\nNAME is an applied blueprint, a ready-made one (apache, redis), or a blueprint file.')
    .action(async (nameOrFile: string, { diff, ...options }: ObserveFlags, command: Command) => {
      const outcome = await withApi(command, async (api) => {
        const name = await ensureApplied(command, api, nameOrFile)
        return api.job<ObserveReport>(`${blueprintPath(name)}/observe`, options)
      })
      await printResult(command, outcome, (report) => render(report, diff ?? false))
    })
}

function render({ blueprint, methods, paths, added, seconds }: ObserveReport, isDiff: boolean): string {
  const took = durationText(seconds * 1000)
  const news = added === null ? '' : `, ${added.length} of them for the first time`
  return [
    ...(isDiff ? (added ?? []).map((path) => `+ ${path}`) : []),
    `${blueprint} was observed in ${took} by ${methods.join(' and ')}: ${paths} paths touched${news}; next: bootloom compose ${blueprint}`,
  ].join('\n')
}
