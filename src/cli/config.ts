import type { Command } from 'commander'
import colors from 'picocolors'
import { pathText } from '../config/issues.ts'
import { maskCredentials } from '../config/secrets.ts'
import { settingsOf } from './api.ts'
import { addCommand } from './command.ts'
import { printResult, table } from './output.ts'

interface Row {
  readonly setting: string
  readonly value: unknown
  /** `default`, `bootloom.yaml:12`, a variable or a flag. */
  readonly from: string
}

export function addConfig(program: Command): void {
  addCommand(program, {
    words: 'config',
    description: 'Check the settings and print the ones in force, with where each comes from.',
    example: 'bootloom config --show',
  })
    .option('--show', 'print them (what this command does without it, too)')
    .action(async (_options: unknown, command: Command) => {
      const { settings, file, origin } = settingsOf(command)
      const rows = [...leavesOf(settings, [])].map(([path, value]) => ({
        setting: pathText(path),
        value: typeof value === 'string' ? maskCredentials(value) : value,
        from: origin(path),
      }))
      await printResult(command, { file: file ?? null, settings: rows }, () => render(rows, file))
    })
}

async function render(rows: readonly Row[], file: string | undefined): Promise<string> {
  const cells = rows.map(({ setting, value, from }) => [
    setting,
    typeof value === 'string' ? value : JSON.stringify(value),
    from === 'default' ? colors.dim(from) : from,
  ])
  return `${colors.dim(`file: ${file ?? 'none'}`)}\n${await table(['setting', 'value', 'from'], cells)}`
}

type Path = readonly (string | number)[]

/** Every value that is not made of others; an empty list counts as one. */
function* leavesOf(value: unknown, path: Path): Generator<[Path, unknown]> {
  if (Array.isArray(value) && value.length > 0) {
    for (const [index, item] of value.entries()) yield* leavesOf(item, [...path, index])
  } else if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
    for (const [name, item] of Object.entries(value)) yield* leavesOf(item, [...path, name])
  } else if (value !== undefined) yield [path, value]
}
