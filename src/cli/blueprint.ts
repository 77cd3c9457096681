import type { Command } from 'commander'
import type { LeftOut, ListedFile } from '../change/report.ts'
import { withApi } from './api.ts'
import { applyFile, blueprintPath } from './apply.ts'
import { addCommand, addNoun } from './command.ts'
import { addMisses } from './misses.ts'
import { bytesText, printResult, remark, table } from './output.ts'
import { addWhy } from './why.ts'

interface BlueprintRow {
  readonly name: string
  readonly channels?: Readonly<Record<string, unknown>>
  readonly nodes?: number | readonly unknown[]
  readonly packages?: readonly string[]
  readonly error?: { readonly code: string }
}

export function addBlueprint(program: Command): void {
  const blueprint = addNoun(
    program,
    'blueprint',
    'What an application needs: its sources, how it starts, how it is probed.',
  )

  addCommand(blueprint, {
    words: 'apply <file>',
    description: 'Check a blueprint file and take it over; an earlier one of the same name is replaced.',
    example: 'bootloom blueprint apply ./shop-frontend.yaml',
  }).action(async (file: string, _options: unknown, command: Command) => {
    const record = await withApi(command, (api) => applyFile(api, file))
    await printResult(command, record, ({ name }) => `${name} is applied; next: bootloom observe ${name}`)
  })

  addCommand(blueprint, {
    words: 'list',
    description: 'List the blueprints, with their channels and nodes.',
    example: 'bootloom blueprint list',
  }).action(async (_options: unknown, command: Command) => {
    const list = await withApi(command, (api) => api.get<readonly BlueprintRow[]>('/v1/blueprints'))
    if (list.length === 0) remark(command, 'No blueprint yet: `bootloom observe apache` takes a ready-made one.')
    await printResult(command, list, (rows) =>
      table(['name', 'stable', 'candidate', '>nodes', 'packages', 'state'], rows.map(blueprintCells)),
    )
  })

  addCommand(blueprint, {
    words: 'show <name>',
    description: 'Show a blueprint, the files that it keeps and why, or what it leaves out.',
    example: 'bootloom blueprint show apache --files',
  })
    .option('--files', 'list the files that are kept, each with its reason')
    .option('--left-out', 'list what is left out, by component')
    .action(async (name: string, options: { files?: true; leftOut?: true }, command: Command) => {
      if (options.files) return showFiles(command, name)
      if (options.leftOut) return showLeftOut(command, name)
      const { stringify } = await import('yaml')
      const record = await withApi(command, (api) => api.get<Record<string, unknown>>(blueprintPath(name)))
      await printResult(command, record, (value) => stringify(value).trimEnd())
    })

  addWhy(blueprint)
  addMisses(blueprint)
}

function blueprintCells(row: BlueprintRow): (string | number)[] {
  const nodes = typeof row.nodes === 'object' ? row.nodes.length : (row.nodes ?? 0)
  const { stable, candidate } = row.channels ?? {}
  const packages = (row.packages ?? []).join(', ')
  return [row.name, pointerText(stable), pointerText(candidate), nodes, packages, row.error?.code ?? 'ok']
}

/** A channel comes as its digest, or with its history. */
function pointerText(channel: unknown): string {
  const digest = typeof channel === 'string' ? channel : (channel as { digest?: string } | null | undefined)?.digest
  return digest?.replace(/^sha256:/, '').slice(0, 12) ?? '–'
}

async function showFiles(command: Command, name: string): Promise<void> {
  const files = await withApi(command, (api) => api.get<readonly ListedFile[]>(`${blueprintPath(name)}/files`))
  const size = await bytesText()
  await printResult(command, files, async (rows) => {
    const cells = rows.map((file) => [
      file.path,
      file.type,
      size(file.size),
      file.component,
      `${file.reason.kind}: ${file.reason.by}`,
    ])
    const total = rows.reduce((sum, file) => sum + file.size, 0)
    const grid = await table(['path', 'type', '>size', 'component', 'reason'], cells)
    return `${grid}\n${rows.length} files, ${size(total)}`
  })
}

async function showLeftOut(command: Command, name: string): Promise<void> {
  const parts = await withApi(command, (api) => api.get<readonly LeftOut[]>(`${blueprintPath(name)}/left-out`))
  const size = await bytesText()
  await printResult(command, parts, async (rows) => {
    const cells = rows.map((row) => [row.component, row.version, row.files, size(row.bytes)])
    const files = rows.reduce((sum, row) => sum + row.files, 0)
    const bytes = rows.reduce((sum, row) => sum + row.bytes, 0)
    const grid = await table(['component', 'version', '>files', '>size'], cells)
    return `${grid}\n${files} files, ${size(bytes)} left out`
  })
}
