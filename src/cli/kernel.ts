import type { Command } from 'commander'
import type { ChosenFragment } from '../blueprint/kernel-choice.ts'
import type { KernelFragment } from '../blueprint/kernel-fragments.ts'
import type { LeanReport } from '../change/report.ts'
import type { BuiltKernel } from '../state/kernels.ts'
import { withApi } from './api.ts'
import { blueprintPath, ensureApplied } from './apply.ts'
import { addCommand, addNoun } from './command.ts'
import { bytesText, durationText, printResult, remark, table, timeText } from './output.ts'

export function addKernel(program: Command): void {
  const kernel = addNoun(program, 'kernel', 'Kernels that are built for blueprints, and what they are configured with.')

  addCommand(kernel, {
    words: 'build <blueprint>',
    description: 'Build the kernel of a blueprint ahead of composing it; done once for the same source and options.',
    example: 'bootloom kernel build shop-frontend',
  }).action(async (nameOrFile: string, _options: unknown, command: Command) => {
    const built = await withApi(command, async (api) => {
      const name = await ensureApplied(command, api, nameOrFile)
      return api.job<LeanReport>(`${blueprintPath(name)}/kernel`, {})
    })
    await printResult(command, built, async (report) =>
      [...(report.chosen.length > 0 ? [await chosenTable(report.chosen), ''] : []), ...leanLines(report)].join('\n'),
    )
  })

  addCommand(kernel, {
    words: 'list',
    description: 'List the kernels that were built.',
    example: 'bootloom kernel list',
  }).action(async (_options: unknown, command: Command) => {
    const kernels = await withApi(command, (api) => api.get<readonly BuiltKernel[]>('/v1/kernels'))
    if (kernels.length === 0) remark(command, 'No kernel yet: `bootloom kernel build BLUEPRINT` builds one.')
    const size = await bytesText()
    await printResult(command, kernels, (rows) =>
      table(
        ['kernel', 'kind', 'of source', '>size', '>fragments', '>took', 'built'],
        rows.map(({ release, kind, version, bytes, fragments, seconds, at }) => [
          ...[release, kind, version, size(bytes), kind === 'lean' ? fragments.length : ''],
          ...[durationText(seconds * 1000), timeText(at)],
        ]),
      ),
    )
  })

  addCommand(kernel, {
    words: 'show <release>',
    description: 'Show a kernel that was built, and every option that is on in it.',
    example: 'bootloom kernel show 6.1.192-lean-2c91f0aa',
  }).action(async (release: string, _options: unknown, command: Command) => {
    const path = `/v1/kernels/${encodeURIComponent(release)}`
    const found = await withApi(command, (api) => api.get<BuiltKernel & { config: string }>(path))
    await printResult(command, found, render)
  })

  addCommand(kernel, {
    words: 'fragments',
    description:
      'List what lean kernels are configured from; with --blueprint, what was chosen for its bundle and why.',
    example: 'bootloom kernel fragments --blueprint apache',
  })
    .option('--blueprint <name>', 'what was chosen, and why')
    .action(async ({ blueprint }: { blueprint?: string }, command: Command) => {
      if (blueprint !== undefined) {
        const path = `${blueprintPath(blueprint)}/kernel`
        const needs = await withApi(command, (api) => api.get<Pick<LeanReport, 'chosen'>>(path))
        return printResult(command, needs.chosen, chosenTable)
      }
      const { loadKernelFragments } = await import('../blueprint/kernel-fragments.ts')
      const rows = (await loadKernelFragments()).map(({ name, why, when, options }) => ({
        ...{ name, when: whenText(when), why, options },
      }))
      await printResult(command, rows, (list) =>
        table(
          ['fragment', '>options', 'when', 'why'],
          list.map(({ name, options, when, why }) => [name, Object.keys(options).length, when, why]),
        ),
      )
    })
}

function whenText(when: KernelFragment['when']): string {
  if (when === undefined) return 'always'
  const shorten = (list: readonly string[]) =>
    list.length > 3 ? `${list.slice(0, 2).join(', ')} and ${list.length - 2} more` : list.join(', ')
  return [
    ...(when.bundle.length > 0 ? [`bundle: ${when.bundle.join(', ')}`] : []),
    ...(when.unstated ? ['no hardware is stated'] : []),
    ...(when.hardware.length > 0 ? [shorten(when.hardware.map(({ text }) => text))] : []),
    ...(when.paths.length > 0 ? [shorten(when.paths.map(({ text }) => text))] : []),
    ...(when.with.length > 0 ? [`with ${shorten(when.with)}`] : []),
  ].join('; ')
}

const chosenTable = (chosen: readonly ChosenFragment[]): Promise<string> =>
  table(
    ['fragment', '>options', 'chosen by', 'why'],
    chosen.map(({ name, options, because, why }) => [name, Object.keys(options).length, because, why]),
  )

/** What `compose` tells of a kernel that was built. */
export function leanLines({ release, chosen, unserved }: LeanReport): string[] {
  const found = chosen.filter(({ because }) => because !== 'always')
  const names = found.map(({ name, because }) => `${name} (${because})`)
  return [
    `kernel       ${release}${chosen.length === 0 ? '' : `, ${chosen.length} fragments: ${chosen.length - found.length} always`}`,
    ...names.map((name) => `             ${name}`),
    ...unserved.map((device) => `warning      no fragment has a driver for the network card ${device}`),
  ]
}

async function render({ config, ...built }: BuiltKernel & { readonly config: string }): Promise<string> {
  const size = await bytesText()
  const on = config.split('\n').filter((line) => line.startsWith('CONFIG_'))
  return [
    `kernel      ${built.release}, ${built.kind}`,
    `source      linux ${built.version}`,
    `image       ${size(built.bytes)}, built in ${durationText(built.seconds * 1000)}, ${timeText(built.at)}`,
    ...(built.kind === 'lean' ? [`fragments   ${built.fragments.join(', ')}`] : []),
    '',
    ...on,
  ].join('\n')
}
