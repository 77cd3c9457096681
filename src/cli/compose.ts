import { type Command, Option } from 'commander'
import type { ComposeReport } from '../change/report.ts'
import { shortDigest } from '../store/digest.ts'
import { withApi } from './api.ts'
import { blueprintPath, ensureApplied } from './apply.ts'
import { addCommand } from './command.ts'
import { bytesText, durationText, printResult, table } from './output.ts'

export function addCompose(program: Command): void {
  addCommand(program, {
    words: 'compose <name>',
    description: 'Weave a bundle from what was observed: kernel, segments, manifest.',
    example: 'bootloom compose apache --level thorough',
  })
    .addOption(new Option('--level <level>', 'how hard to compress').choices(['fast', 'thorough']))
    .option('--full', 'weave the full stack instead of what was observed, to compare with')
    .action(async (nameOrFile: string, options: { level?: string; full?: true }, command: Command) => {
      const composed = await withApi(command, async (api) => {
        const name = await ensureApplied(command, api, nameOrFile)
        return api.job<ComposeReport>(`${blueprintPath(name)}/compose`, options)
      })
      await printResult(command, composed, render)
    })
}

async function render(composed: ComposeReport): Promise<string> {
  if (composed.level === 'foreign') return renderForeign(composed)
  const { digest, rows, totals, fullStack, reused, woven, seconds } = composed
  const size = await bytesText()
  const cells = rows.map((row) => [
    row.name,
    row.version,
    row.files,
    size(row.raw),
    size(row.size),
    row.reused ? 'reused' : 'woven',
  ])
  const sum = ['total', '', totals.files, size(totals.raw), size(totals.size), '']
  const grid = await table(['component', 'version', '>files', '>raw', '>compressed', 'segment'], [...cells, sum])
  const share = fullStack.bytes > 0 ? ` (${((totals.raw / fullStack.bytes) * 100).toFixed(1)} % kept)` : ''
  return [
    grid,
    '',
    `full stack   ${fullStack.files} files, ${size(fullStack.bytes)}${share}`,
    `initramfs    ${size(totals.size)}, kernel ${size(totals.kernel)}, together ${size(totals.size + totals.kernel)}`,
    `segments     ${reused} reused, ${woven.length} woven in ${durationText(seconds * 1000)}`,
    `bundle       ${shortDigest(digest)}`,
  ].join('\n')
}

/** Nothing was woven: what was fetched. */
async function renderForeign({ digest, totals, seconds }: ComposeReport): Promise<string> {
  const size = await bytesText()
  return [
    `kernel       ${size(totals.kernel)}`,
    `initrds      ${size(totals.size)}`,
    `bundle       ${shortDigest(digest)}, fetched in ${durationText(seconds * 1000)}`,
  ].join('\n')
}
