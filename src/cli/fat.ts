import type { Command } from 'commander'
import type { Fat, FatFile } from '../blueprint/fat.ts'
import { withApi } from './api.ts'
import { blueprintPath } from './apply.ts'
import { addCommand } from './command.ts'
import { bytesText, printResult, table } from './output.ts'

/** Adds `blueprint fat`. */
export function addFat(blueprint: Command): void {
  addCommand(blueprint, {
    words: 'fat <name>',
    description: 'Name what is large and hardly touched, which package or rule pulls it, and who needs it.',
    example: 'bootloom blueprint fat apache-php',
  }).action(async (name: string, _options: unknown, command: Command) => {
    const fat = await withApi(command, (api) => api.get<Fat>(`${blueprintPath(name)}/fat`))
    await printResult(command, fat, fatText)
  })
}

async function fatText({ size, files, groups }: Fat): Promise<string> {
  const bytes = await bytesText()
  const lines = files.flatMap((file) => {
    const { path, component, version, read, kept } = file
    const share = `${bytes(read)} of ${bytes(file.size)} were read`
    const now = kept === undefined ? '' : `; ${bytes(kept)} are kept, by page`
    return [`${path}: ${share}${now}`, `  of ${component} ${version}`, ...reasonLines(file)]
  })
  const cells = groups.map(({ component, kind, by, files: count, size: weight }) => [
    bytes(weight),
    count,
    component,
    kind === 'closure' ? by : `${kind} ${by}`,
  ])
  const untouched = groups.length === 0 ? [] : ['', 'kept, and not touched at all:', await table(columns, cells)]
  const nothing = files.length + groups.length === 0 ? ['nothing large is hardly touched'] : []
  const spare = files.filter(({ kept }) => kept === undefined).reduce((sum, file) => sum + file.size - file.read, 0)
  const hint =
    spare === 0
      ? []
      : [`${bytes(spare)} of ${bytes(size)} were never read: \`granularity: { page: [PATH] }\` keeps the rest alone`]
  return [...lines, ...untouched, ...nothing, ...hint].join('\n')
}

const columns = ['>size', '>files', 'component', 'pulled by']

function reasonLines({ neededBy, loadedThrough, chain }: FatFile): string[] {
  const steps = chain.map(({ kind, by, path, why }) =>
    kind === 'rule'
      ? `rule ${by}: ${why ?? 'it is no longer there'}`
      : kind === 'observed'
        ? `${path} was touched`
        : by,
  )
  const others = neededBy.length > 1 ? ` (and ${neededBy.length - 1} more)` : ''
  const needed = neededBy.length === 0 ? [] : [`  needed by ${loadedThrough.join(' ← ')}${others}`]
  return [...needed, `  there because: ${steps.join(' ← ')}`]
}
