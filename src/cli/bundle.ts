import type { Command } from 'commander'
import type { Weight } from '../change/weigh/weight.ts'
import type { BundleConfig, BundleSummary, ForeignConfig } from '../compose/bundle-format.ts'
import type { Verdict } from '../state/replays.ts'
import { shortDigest } from '../store/digest.ts'
import { withApi } from './api.ts'
import { addCommand, addNoun } from './command.ts'
import { bytesText, printResult, remark, table, timeText } from './output.ts'
import { verdictText } from './verdict.ts'
import { renderWeight } from './weight.ts'

/** A bundle as the API shows it: what lists show of it, and its config. */
type BundleDetails = BundleSummary & { readonly config?: BundleConfig | ForeignConfig; readonly replay?: Verdict }

export function addBundle(program: Command): void {
  const bundle = addNoun(program, 'bundle', 'What nodes boot: a kernel and segments, named by their digest.')

  addCommand(bundle, { words: 'list', description: 'List the bundles.', example: 'bootloom bundle list' }).action(
    async (_options: unknown, command: Command) => {
      const bundles = await withApi(command, (api) => api.get<readonly BundleSummary[]>('/v1/bundles'))
      if (bundles.length === 0) remark(command, 'No bundle yet: `bootloom compose NAME` weaves one.')
      const size = await bytesText()
      await printResult(command, bundles, (rows) =>
        table(
          ['digest', 'blueprint', 'level', '>files', '>kernel', '>initramfs', '>full stack', 'made'],
          rows.map((row) => [
            shortDigest(row.digest),
            row.blueprint,
            row.level,
            row.files,
            size(row.kernelBytes),
            size(row.initramfsBytes),
            size(row.fullStackBytes),
            timeText(row.createdAt),
          ]),
        ),
      )
    },
  )

  addCommand(bundle, {
    words: 'show <digest>',
    description: 'Show a bundle and its segments. Six digits of the digest are enough.',
    example: 'bootloom bundle show 3f2a9c',
  }).action(async (digest: string, _options: unknown, command: Command) => {
    const details = await withApi(command, (api) => api.get<BundleDetails>(`/v1/bundles/${encodeURIComponent(digest)}`))
    await printResult(command, details, render)
  })

  addCommand(bundle, {
    words: 'weigh <digest>',
    description: 'Boot a bundle in a virtual machine and tell where its bytes on the wire and its memory go.',
    example: 'bootloom bundle weigh 3f2a9c --memory 256',
  })
    .option('--memory <MiB>', 'memory of the machine', Number)
    .action(async (digest: string, { memory }: { memory?: number }, command: Command) => {
      const path = `/v1/bundles/${encodeURIComponent(digest)}/weigh`
      const weight = await withApi(command, (api) => api.job<Weight>(path, memory === undefined ? {} : { ram: memory }))
      await printResult(command, weight, renderWeight)
    })
}

async function render({ config, replay, ...summary }: BundleDetails): Promise<string> {
  const size = await bytesText()
  if (config?.level === 'foreign') return renderForeign(summary, config)
  const segments = config?.segments ?? []
  const facts = [
    `bundle      ${summary.digest}`,
    `blueprint   ${summary.blueprint}, ${summary.level}`,
    `kernel      ${size(summary.kernelBytes)}${config ? `, ${config.kernel.release}` : ''}`,
    `initramfs   ${size(summary.initramfsBytes)}, ${summary.files} files, ${size(summary.rawBytes)} unpacked`,
    ...(config?.root ? [`root        ${config.root.format}: an image of ${config.root.files} files`] : []),
    ...(config?.kernel.drivers ? [`drivers     ${config.kernel.drivers.join(', ')}, for its nodes' devices`] : []),
    `full stack  ${size(summary.fullStackBytes)}`,
    ...(config ? [`cmdline     ${config.cmdline}`] : []),
    `replay      ${replay ? verdictText(replay) : 'never replayed'}`,
  ]
  if (segments.length === 0) return facts.join('\n')
  const rows = segments.map((one) => [one.name, one.version, one.kind, one.files, size(one.raw), size(one.size)])
  return [...facts, '', await table(['segment', 'version', 'kind', '>files', '>raw', '>compressed'], rows)].join('\n')
}

async function renderForeign(summary: BundleSummary, { cmdline, files }: ForeignConfig): Promise<string> {
  const size = await bytesText()
  const facts = [`bundle      ${summary.digest}`, `blueprint   ${summary.blueprint}, foreign`, `cmdline     ${cmdline}`]
  const rows = files.map((file) => [file.from, size(file.size), shortDigest(file.digest)])
  return [...facts, '', await table(['file', '>size', 'digest'], rows)].join('\n')
}
