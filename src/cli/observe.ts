import type { Command } from 'commander'
import type { ObserveReport } from '../change/report.ts'
import { withApi } from './api.ts'
import { blueprintPath, ensureApplied } from './apply.ts'
import { addCommand } from './command.ts'
import { durationText, printResult } from './output.ts'

export function addObserve(program: Command): void {
  addCommand(program, {
    words: 'observe <name>',
    description: 'Watch a blueprint’s application run, and keep note of every file that it touches.',
    example: 'bootloom observe apache',
  })
    .addHelpText('after', '\nNAME is an applied blueprint, a ready-made one (apache, redis), or a blueprint file.')
    .action(async (nameOrFile: string, _options: unknown, command: Command) => {
      const outcome = await withApi(command, async (api) => {
        const name = await ensureApplied(command, api, nameOrFile)
        return api.job<ObserveReport>(`${blueprintPath(name)}/observe`, {})
      })
      await printResult(command, outcome, render)
    })
}

function render({ blueprint, paths, seconds }: ObserveReport): string {
  const took = durationText(seconds * 1000)
  return `${blueprint} was observed in ${took}: ${paths} paths touched; next: bootloom compose ${blueprint}`
}
