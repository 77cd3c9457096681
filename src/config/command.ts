import { access, constants } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { BootloomError } from './errors.ts'

interface RunOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string | Readable
  readonly signal?: AbortSignal
  /** Milliseconds. */
  readonly timeout?: number
  /** Each line of standard error as it comes. */
  readonly onLine?: (line: string) => void
}

/** What a program printed last, as details of an error. */
export const lastLines = (text: string, count = 12): string[] => text.trimEnd().split('\n').slice(-count)

/** Whether a program of this name is installed. */
export async function programIsThere(name: string): Promise<boolean> {
  for (const directory of (process.env.PATH ?? '').split(':')) {
    const found = await access(join(directory, name), constants.X_OK).then(
      () => true,
      () => false,
    )
    if (found) return true
  }
  return false
}

/**
 * Runs a program and returns what it wrote to standard output. A failure becomes COMMAND_FAILED with the program's last
 * lines; a full disk becomes DISK_FULL whoever met it. The child ends with us and never reads our standard input.
 */
export async function run(file: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  // Loaded by who runs something: it is a tenth of the memory of a server that does not.
  const { execa, ExecaError } = await import('execa')
  try {
    const child = execa(file, args, {
      ...(options.input === undefined ? { stdin: 'ignore' as const } : { input: options.input }),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.env === undefined ? {} : { env: options.env }),
      ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
      ...(options.timeout === undefined ? {} : { timeout: options.timeout }),
      maxBuffer: 256 * 1024 * 1024,
    })
    if (options.onLine) for await (const line of child.iterable({ from: 'stderr' })) options.onLine(line)
    return (await child).stdout
  } catch (error) {
    if (!(error instanceof ExecaError) || error.isCanceled) throw error
    if (error.code === 'ENOENT') throw new BootloomError('TOOL_MISSING', `${file} is not installed`, { cause: error })
    const output = `${error.stderr ?? ''}\n${error.stdout ?? ''}`.trim()
    if (/No space left on device/i.test(output)) {
      throw new BootloomError('DISK_FULL', `${file} found no space left on the disk`, { details: lastLines(output, 4) })
    }
    throw new BootloomError('COMMAND_FAILED', `${file} ${args[0] ?? ''} ended with ${error.exitCode ?? error.signal}`, {
      details: lastLines(output),
      cause: error,
    })
  }
}
