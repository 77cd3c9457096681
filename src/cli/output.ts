import type { Command } from 'commander'
import colors from 'picocolors'
import type { BootloomError } from '../config/errors.ts'
import { globalsOf } from './command.ts'

/** The result of a command: the value itself with --json, else the text that `render` makes of it. */
export async function printResult<T>(
  command: Command,
  value: T,
  render: (value: T) => string | Promise<string>,
): Promise<void> {
  const text = globalsOf(command).json ? JSON.stringify(value, undefined, 2) : await render(value)
  if (text !== '') process.stdout.write(`${text}\n`)
}

/** With --json on standard output under `error`, so that a program reads one stream; else for people on standard error. */
export function printError(error: BootloomError, json: boolean): void {
  if (json) {
    process.stdout.write(`${JSON.stringify({ error: error.toJSON() }, undefined, 2)}\n`)
    return
  }
  const lines = [
    `${colors.red('error')} ${colors.bold(error.code)}: ${error.message}`,
    ...(error.where === undefined ? [] : [`  at ${error.where}`]),
    ...error.details.map((line) => `  ${line}`),
    `${colors.cyan('hint:')} ${error.hint}`,
  ]
  process.stderr.write(`${lines.join('\n')}\n`)
}

/** A remark beside the result; never in the way of a program that reads standard output. */
export function remark(command: Command, text: string): void {
  if (!globalsOf(command).json) process.stderr.write(`${text}\n`)
}

type Cell = string | number

/** Columns under headings; nothing without rows. Columns whose heading begins with `>` are set to the right. */
export async function table(headings: readonly string[], rows: readonly (readonly Cell[])[]): Promise<string> {
  if (rows.length === 0) return ''
  const { default: Table } = await import('cli-table3')
  const bare = ['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right']
  const inner = ['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid']
  const grid = new Table({
    chars: { ...Object.fromEntries([...bare, ...inner].map((name) => [name, ''])), middle: '   ' },
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
    head: headings.map((heading) => colors.dim(heading.replace(/^>/, ''))),
    colAligns: headings.map((heading) => (heading.startsWith('>') ? 'right' : 'left')),
  })
  for (const row of rows) grid.push([...row])
  return grid
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
}

/** `3.4 MB`. */
export async function bytesText(): Promise<(bytes: number) => string> {
  const { default: prettyBytes } = await import('pretty-bytes')
  return (bytes) => prettyBytes(bytes)
}

/** Milliseconds as `850 ms` or `12.3 s`. */
export const durationText = (milliseconds: number): string =>
  milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`

/** Local date and time to the second. */
export const timeText = (milliseconds: number): string =>
  new Date(milliseconds - new Date(milliseconds).getTimezoneOffset() * 60_000)
    .toISOString()
    .slice(0, 19)
    .replace('T', ' ')

/** Milliseconds as `40 s`, `12 min`, `5 h` or `3 d`. */
export function ageText(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000))
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`
}
