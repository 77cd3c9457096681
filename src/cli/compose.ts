import { type Command, Option } from 'commander'
import type { ComposeReport } from '../change/report.ts'
import { shortDigest } from '../store/digest.ts'
import { withApi } from './api.ts'
import { blueprintPath, ensureApplied } from './apply.ts'
import { addCommand } from './command.ts'
import { leanLines } from './kernel.ts'
import { bytesText, durationText, printResult, table } from './output.ts'
import { verdictText } from './verdict.ts'

export function addCompose(program: Command): void {
  addCommand(program, {
    words: 'compose <name>',
    description: 'Weave a bundle from what was observed: kernel, segments, manifest.',
    example: 'bootloom compose apache --widen',
  })
    .addOption(new Option('--level <level>', 'how hard to compress').choices(['fast', 'thorough']))
    .option('--full', 'weave the full stack instead of what was observed, to compare with')
    .option('--no-replay', 'publish it without running the application from it first')
    .option('--widen', 'add the files that a replay finds lacking, and go round until it holds')
    .addOption(
      new Option('--rounds <rounds>', 'how often to go round with --widen, at most').default(5).argParser(Number),
    )
    .action(async (nameOrFile: string, given: ComposeFlags, command: Command) => {
      const { level, full, replay, widen, rounds } = given
      const options = { level, full, replay, ...(widen ? { rounds } : {}) }
      const composed = await withApi(command, async (api) => {
        const name = await ensureApplied(command, api, nameOrFile)
        return api.job<ComposeReport>(`${blueprintPath(name)}/compose`, options)
      })
      await printResult(command, composed, render)
    })
}

interface ComposeFlags {
  readonly level?: string
  readonly full?: true
  readonly replay: boolean
  readonly widen?: true
  readonly rounds: number
}

async function render(composed: ComposeReport): Promise<string> {
  if (composed.level === 'foreign') return renderForeign(composed)
  const { digest, rows, totals, fullStack, reused, woven, seconds, replay } = composed
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
    ...(composed.root ? rootLines(composed.root, size) : []),
    ...(composed.kernel ? leanLines(composed.kernel) : []),
    ...replayLines(replay),
    ...(composed.warnings ?? []).map((warning) => `warning      ${warning}`),
    `bundle       ${shortDigest(digest)}`,
  ].join('\n')
}

/** How the packages stand on a node, and what that comes to. */
function rootLines({ format, why, wire, memory }: NonNullable<ComposeReport['root']>, size: (bytes: number) => string) {
  const held = format === 'squashfs' ? 'as an image, and what is read of it' : 'as files'
  return [`root         ${format} (${why}): ${size(wire)} on the wire, ${size(memory)} of RAM ${held}`]
}

/** What was added on the way stands in the rounds before the last. */
function replayLines(replay: ComposeReport['replay']): string[] {
  if (!replay) return []
  const rounds = replay.rounds.length < 2 ? [] : replay.rounds
  return [
    ...rounds.map(({ verdict }, index) => `round ${index + 1}      ${verdictText(verdict)}`),
    `replay       ${verdictText(replay.verdict)}`,
  ]
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
