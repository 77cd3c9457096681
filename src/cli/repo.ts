import type { Command } from 'commander'
import type { UpdateReport } from '../change/report.ts'
import type { ComponentRef } from '../repository/component.ts'
import { withApi } from './api.ts'
import { addCommand, addNoun } from './command.ts'
import { printResult, remark, table } from './output.ts'

export function addRepo(program: Command): void {
  const repo = addNoun(program, 'repo', 'The components known, and the sources that they come from.')

  addCommand(repo, {
    words: 'list',
    description: 'List the components known, with their versions.',
    example: 'bootloom repo list',
  }).action(async (_options: unknown, command: Command) => {
    const list = await withApi(command, (api) => api.get<readonly ComponentRef[]>('/v1/components'))
    if (list.length === 0) remark(command, 'No component yet: `bootloom repo update` fetches what blueprints ask for.')
    await printResult(command, list, (rows) =>
      table(
        ['kind', 'component', 'version'],
        rows.map((row) => [row.kind, row.name, row.version]),
      ),
    )
  })

  addCommand(repo, {
    words: 'update [blueprint]',
    description: 'Resolve the packages of one blueprint, or of all, to their newest versions and fetch them.',
    example: 'bootloom repo update apache',
  }).action(async (blueprint: string | undefined, _options: unknown, command: Command) => {
    const body = blueprint === undefined ? {} : { blueprint }
    const updated = await withApi(command, (api) => api.job<readonly UpdateReport[]>('/v1/repo/update', body))
    await printResult(command, updated, render)
  })
}

const verdicts: Readonly<Record<UpdateReport['verdict'], string>> = {
  unchanged: 'all components are the newest',
  unaffected: 'no file that the bundle keeps differs: the bundle stays',
  woven: 'a new bundle is woven',
  'not-woven': 'there was no bundle; next: bootloom observe',
  held: 'a new bundle is woven and held',
  waiting: 'a new bundle is woven and waits for its window',
}

async function render(reports: readonly UpdateReport[]): Promise<string> {
  const lines = reports.map(({ blueprint, verdict, why, change }) => {
    const more = verdict === 'held' ? `: ${why}; bootloom change show ${change}` : ''
    return `${blueprint}: ${verdicts[verdict]}${more}`
  })
  const rows = reports.flatMap(({ blueprint, changed }) =>
    changed.map((change) => [blueprint, change.name, change.from ?? '–', change.to ?? '–']),
  )
  if (rows.length === 0) return lines.join('\n')
  return [await table(['blueprint', 'component', 'from', 'to'], rows), ...lines].join('\n')
}
