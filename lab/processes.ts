import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { lastLines } from '../src/config/command.ts'
import { BootloomError } from '../src/config/errors.ts'
import { type Place, paths } from './place.ts'

/** A process that a lab started: its start time tells it from a later process that was given the same id. */
export interface Recorded {
  readonly what: string
  readonly pid: number
  /** Clock ticks after the machine's start (proc(5), stat, field 22). */
  readonly startedAt: string
  /** The machine's start that the ticks count from. */
  readonly machineStart: string
}

const machineStart = () => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()

/** Undefined when there is no such process, or only what its parent has not yet collected. */
function startOf(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in parentheses may itself hold spaces and parentheses.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch {
    return undefined
  }
}

const fileOf = (place: Place, what: string) => join(paths.runs(place), `${what}.json`)

/** Writes down a process, so that whoever comes next can end it. */
export function remember(place: Place, what: string, pid: number): Recorded {
  const recorded: Recorded = { what, pid, startedAt: startOf(pid) ?? '', machineStart: machineStart() }
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

export function isRunning(process: Recorded): boolean {
  return (
    process.startedAt !== '' && process.machineStart === machineStart() && startOf(process.pid) === process.startedAt
  )
}

export const runningAs = (place: Place, what: string): Recorded | undefined =>
  recorded(place).find((process) => process.what === what && isRunning(process))

/** Asks the process to end and, once `patience` milliseconds have passed, ends it. Never touches another of the same id. */
export async function end(process: Recorded, patience = 5000): Promise<void> {
  for (const [signal, milliseconds] of [['SIGTERM', patience] as const, ['SIGKILL', 2000] as const]) {
    if (!isRunning(process)) return
    try {
      globalThis.process.kill(process.pid, signal)
    } catch {
      return
    }
    for (let waited = 0; waited < milliseconds && isRunning(process); waited += 20) await sleep(20)
  }
}

/** Ends a process known by its id alone, which we have just learnt to be ours. */
export async function endPid(pid: number, patience = 2000): Promise<void> {
  const startedAt = startOf(pid)
  if (startedAt !== undefined) await end({ what: '', pid, startedAt, machineStart: machineStart() }, patience)
}

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
