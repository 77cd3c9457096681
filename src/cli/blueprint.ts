import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { Service, Command as Words } from '../blueprint/service.ts'
import type { Draft } from '../change/draft.ts'
import type { LeftOut, ListedFile } from '../change/report.ts'
import { BootloomError } from '../config/errors.ts'
import { withApi } from './api.ts'
import { applyFile, blueprintPath } from './apply.ts'
import { addCommand, addNoun } from './command.ts'
import { addFat } from './fat.ts'
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

interface ShowOptions {
  readonly services?: true
  readonly files?: true
  readonly leftOut?: true
}

interface InitOptions {
  readonly package: readonly string[]
  readonly service?: string
  readonly file?: string
}

/** Before the packages are fetched, and not only once all is known. */
function refuseExisting(file: string): void {
  if (!existsSync(file)) return
  throw new BootloomError('USAGE', 'the file is there already', { where: file, hint: 'Name another one with --file.' })
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
    words: 'init <name>',
    description: 'Write the blueprint of Debian packages: installs them, finds their unit and what it listens on.',
    example: 'bootloom blueprint init shop --package nginx',
  })
    .requiredOption('--package <name...>', 'a Debian package; may be given several times')
    .option('--service <unit>', 'the systemd unit, where the packages bring several')
    .option('--file <path>', 'where to write it (default ./NAME.yaml); what is there is never overwritten')
    .action(async (name: string, options: InitOptions, command: Command) => {
      const file = resolve(options.file ?? `${name}.yaml`)
      refuseExisting(file)
      const request = { name, packages: options.package, ...(options.service ? { service: options.service } : {}) }
      const { yaml, unit } = await withApi(command, (api) => api.job<Draft>('/v1/drafts', request))
      await writeFile(file, yaml, { flag: 'wx' })
      const written = { file, unit, yaml }
      await printResult(command, written, () => `${yaml}\n${file} is written; next: bootloom observe ${file}`)
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
    description: 'Show a blueprint, how its services are run, the files that it keeps and why, or what it leaves out.',
    example: 'bootloom blueprint show apache --files',
  })
    .option('--services', 'show how each service is run, and which settings of its unit are not acted on')
    .option('--files', 'list the files that are kept, each with its reason')
    .option('--left-out', 'list what is left out, by component')
    .action(async (name: string, options: ShowOptions, command: Command) => {
      if (options.services) return showServices(command, name)
      if (options.files) return showFiles(command, name)
      if (options.leftOut) return showLeftOut(command, name)
      const { stringify } = await import('yaml')
      const record = await withApi(command, (api) => api.get<Record<string, unknown>>(blueprintPath(name)))
      await printResult(command, record, (value) => stringify(value).trimEnd())
    })

  addWhy(blueprint)
  addFat(blueprint)
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

async function showServices(command: Command, name: string): Promise<void> {
  const services = await withApi(command, (api) => api.get<readonly Service[]>(`${blueprintPath(name)}/services`))
  const line = ({ words }: Words) =>
    words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : JSON.stringify(word))).join(' ')
  const step = (one: Service['reload'][number]) => ('signal' in one ? `signal ${one.signal}` : line(one))
  await printResult(command, services, (all) =>
    all
      .map((service) => {
        const rows: [string, string][] = [
          ['unit', service.unit ?? 'none: the blueprint says how it is started'],
          ['after', service.after.join(', ')],
          ['account', `${service.account.name} (${service.account.uid}:${service.account.gid})`],
          ['before', service.pre.map(line).join('; ')],
          ['start', `${line(service.start)} (${service.type})`],
          ['reload', service.reload.map(step).join('; ')],
          ['stop', service.stop.map(step).join('; ')],
          ['directories', service.directories.map(({ path }) => path).join(', ')],
          ['not acted on', service.ignored.join(', ')],
        ]
        const told = rows.filter(([, value]) => value !== '').map(([key, value]) => `  ${key.padEnd(13)}${value}`)
        return [service.name, ...told].join('\n')
      })
      .join('\n'),
  )
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
