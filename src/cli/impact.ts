import type { Command } from 'commander'
import colors from 'picocolors'
import type { IndexReport } from '../change/impact/jobs.ts'
import type { FileChange, ImpactQuestion, ImpactReport, ImpactRow } from '../change/impact/report.ts'
import { shortDigest } from '../store/digest.ts'
import { withApi } from './api.ts'
import { addCommand } from './command.ts'
import { durationText, printResult, remark, table } from './output.ts'
import { pinText } from './pin.ts'

interface Options extends Omit<ImpactQuestion, 'package'> {
  readonly rebuild?: true
}

export function addImpact(program: Command): void {
  addCommand(program, {
    words: 'impact [package]',
    description:
      'Tell which bundles and nodes an update matters to, by the files that they keep: of NAME or NAME=VERSION, or of all that the sources offer. Nothing is installed or woven.',
    example: 'bootloom impact libssl3',
  })
    .option('--cve <cve>', 'ask after a flaw, by the security data that the settings name')
    .option('--file <path>', 'ask who keeps this path')
    .option('--digest <digest>', 'ask who keeps a file of this content, or something of this component')
    .option('--rebuild', 'make the index of what bundles keep anew from the store, before anything is asked')
    .action(async (words: string | undefined, { rebuild, ...options }: Options, command: Command) => {
      const question = { ...options, ...(words === undefined ? {} : { package: words }) }
      const asks = !rebuild || Object.keys(question).length > 0
      const { built, report } = await withApi(command, async (api) => ({
        built: rebuild ? await api.job<IndexReport>('/v1/impact/rebuild', {}) : undefined,
        report: asks ? await api.job<ImpactReport>('/v1/impact', question) : undefined,
      }))
      if (built) {
        const told = `the index of ${built.subjects} selections was made in ${durationText(built.seconds * 1000)}`
        if (report) remark(command, told)
        else await printResult(command, built, () => told)
      }
      if (report) await printResult(command, report, render)
    })
}

async function render(report: ImpactReport): Promise<string> {
  const { rows, offered, question, unread } = report
  // Of all that is offered, what nobody keeps a file of is told in one line.
  const isOverview = Object.keys(question).length === 0
  const shown = isOverview ? rows.filter(({ kept, files }) => kept + files.length > 0) : rows
  const grid = await table(
    ['blueprint', 'component', 'from', 'to', '>files', 'channels', '>nodes', 'verdict'],
    shown.map(cells),
  )
  return [
    grid,
    ...evidence(shown),
    ...(isOverview ? [othersText(rows)] : []),
    ...offered.flatMap(({ name, version, fixes }) =>
      fixes.length > 0 ? [`${name} ${version} mends ${fixes.join(', ')}`] : [],
    ),
    ...(unread.length > 0
      ? [`Nothing can be said of ${unread.map(shortDigest).join(', ')}: the store lacks parts of them.`]
      : []),
    summary(report),
  ]
    .filter((part) => part !== '')
    .join('\n')
}

function cells({
  blueprint,
  component,
  from,
  to,
  files,
  kept,
  channels,
  nodes,
  verdict,
  pin,
}: ImpactRow): (string | number)[] {
  const word = verdict === 'affected' ? colors.yellow(verdict) : verdict
  return [
    blueprint,
    component?.name ?? '–',
    from?.version ?? '–',
    to?.version ?? '–',
    from === null ? '–' : `${files.length} of ${kept}`,
    channels.join(', ') || '–',
    nodes,
    pin ? `${word}; pinned to ${pinText(pin)}` : word,
  ]
}

/** Which files, once for those blueprints that have the same. */
function evidence(rows: readonly ImpactRow[]): string[] {
  const groups = new Map<string, { head: string; files: readonly FileChange[]; blueprints: string[] }>()
  for (const { component, from, to, files, blueprint } of rows) {
    if (files.length === 0 || from === null) continue
    const digests = to ? ` ${shortDigest(from.component)} → ${to.component ? shortDigest(to.component) : 'unread'}` : ''
    const head = `${component?.name} ${from.version}${to ? ` → ${to.version}` : ''}${digests}`
    const key = JSON.stringify([head, files])
    const group = groups.get(key) ?? { head, files, blueprints: [] }
    group.blueprints.push(blueprint)
    groups.set(key, group)
  }
  return [...groups.values()].flatMap(({ head, files, blueprints }) => [
    `\n${colors.bold(head)} in ${several(blueprints)}:`,
    ...files.slice(0, mostFiles).map((file) => `  ${fileText(file)}`),
    ...(files.length > mostFiles ? [`  and ${files.length - mostFiles} more`] : []),
  ])
}

const mostFiles = 12

const several = (names: readonly string[]): string =>
  names.length > 6 ? `${names.slice(0, 5).join(', ')} and ${names.length - 5} more` : names.join(', ')

function fileText({ path, from, to, makes }: FileChange): string {
  const what = from === to ? brief(from) : `${brief(from)} → ${brief(to)}`
  return printable(`${path}${makes === undefined ? '' : ` (made into ${makes})`}  ${what}`)
}

const brief = (content: string | null): string =>
  content === null ? 'none' : content.replace(/sha256:([0-9a-f]{12})[0-9a-f]*/, '$1').replace(/^file /, '')

/** Names come out of archives. */
const printable = (text: string): string => text.replace(/[\0-\x1f\x7f-\x9f]/g, '?')

function othersText(rows: readonly ImpactRow[]): string {
  const others = rows.filter(({ kept, files }) => kept + files.length === 0)
  if (others.length === 0) return ''
  const names = [...new Set(others.map(({ component }) => component?.name ?? ''))].sort()
  return `\nNewer, but not in a bundle: ${names.join(', ')}`
}

function summary({ rows, bundles, question }: ImpactReport): string {
  const affected = rows.filter(({ verdict }) => verdict === 'affected')
  const blueprints = new Set(affected.map(({ blueprint }) => blueprint)).size
  const touched = new Set(affected.flatMap((row) => row.bundles))
  const nodes = bundles
    .filter(({ digest }) => touched.has(digest))
    .reduce((sum, bundle) => sum + bundle.nodes.length, 0)
  if (rows.length === 0) {
    return bundles.length === 0
      ? 'No bundle is in use yet.'
      : `No source offers anything newer${question.package ? ` of ${question.package}` : ''}.`
  }
  return `\naffected: ${blueprints} blueprints, ${nodes} nodes`
}
