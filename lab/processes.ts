import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { lastLines } from '../src/config/command.ts'
import { BootloomError } from '../src/config/errors.ts'
import { identityOf, isRunning, type ProcessIdentity } from '../src/machine/process.ts'
import { type Place, paths } from './place.ts'

/** A process that a lab started. */
export interface Recorded extends ProcessIdentity {
  readonly what: string
}

const fileOf = (place: Place, what: string) => join(paths.runs(place), `${what}.json`)

/** Writes down a process, so that whoever comes next can end it. */
export function remember(place: Place, what: string, pid: number): Recorded {
  const recorded: Recorded = { what, ...identityOf(pid) }
  mkdirSync(paths.runs(place), { recursive: true })
  writeFileSync(fileOf(place, what), JSON.stringify(recorded))
  return recorded
}

export function forget(place: Place, what: string): void {
  rmSync(fileOf(place, what), { force: true })
}

export function recorded(place: Place): Recorded[] {
  let names: string[] = []
  try {
    names = readdirSync(paths.runs(place))
  } catch {
    return []
  }
  return names
    .filter((name) => name.endsWith('.json'))
    .flatMap((name) => {
      try {
        return [JSON.parse(readFileSync(join(paths.runs(place), name), 'utf8')) as Recorded]
      } catch {
        return []
      }
    })
}

export const runningAs = (place: Place, what: string): Recorded | undefined =>
  recorded(place).find((process) => process.what === what && isRunning(process))

/** Stands in the environment of all that a lab starts, and of what that starts in turn. */
export const ownerVariable = 'LAB_OF_BOOTLOOM'

interface Daemon {
  readonly what: string
  readonly command: readonly [string, ...string[]]
  readonly directory?: string
}

/** Starts a process of the lab in a session of its own: a Ctrl-C in the terminal does not reach it, `down` does. */
export function startDaemon(place: Place, daemon: Daemon): Recorded {
  const log = paths.log(place, daemon.what)
  mkdirSync(dirname(log), { recursive: true })
  const output = openSync(log, 'w')
  const [file, ...args] = daemon.command
  try {
    const child = spawn(file, args, {
      detached: true,
      stdio: ['ignore', output, output],
      env: { ...environment(), [ownerVariable]: place.directory },
      ...(daemon.directory === undefined ? {} : { cwd: daemon.directory }),
    })
    // Without a pid, `ensure` below finds that nothing runs.
    child.on('error', () => {})
    child.unref()
    return remember(place, daemon.what, child.pid ?? 0)
  } finally {
    closeSync(output)
  }
}

/** Settings of the caller's own Bootloom are not the lab's, but for how much is logged. */
const environment = () =>
  Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('BOOTLOOM_') || name === 'BOOTLOOM_LOG_LEVEL'),
  )

interface Readiness {
  readonly process: Recorded
  /** What failed to start, for the message. */
  readonly named: string
  /** Milliseconds. */
  readonly timeout: number
  readonly signal?: AbortSignal
  readonly isReady: () => Promise<boolean>
}

/** Waits until a process answers; LAB_FAILED with its last lines of output when it ends, or stays silent too long. */
export async function untilReady(place: Place, wanted: Readiness): Promise<void> {
  const deadline = Date.now() + wanted.timeout
  for (;;) {
    if (await wanted.isReady()) return
    wanted.signal?.throwIfAborted()
    const ended = !isRunning(wanted.process)
    if (!ended && Date.now() < deadline) {
      await sleep(50)
      continue
    }
    const log = paths.log(place, wanted.process.what)
    throw new BootloomError('LAB_FAILED', `${wanted.named} ${ended ? 'ended at once' : 'does not answer'}`, {
      where: log,
      details: lastLines(readLog(log), 8),
    })
  }
}

function readLog(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
