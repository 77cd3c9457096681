import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** One process: its start time tells it from a later one that was given the same id. */
export interface ProcessIdentity {
  readonly pid: number
  /** Clock ticks after the machine's start (proc(5), stat, field 22); empty for a process that was gone already. */
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

export const identityOf = (pid: number): ProcessIdentity => ({
  pid,
  startedAt: startOf(pid) ?? '',
  machineStart: machineStart(),
})

export function isRunning(process: ProcessIdentity): boolean {
  return (
    process.startedAt !== '' && process.machineStart === machineStart() && startOf(process.pid) === process.startedAt
  )
}

/** Asks the process to end and, once `patience` milliseconds have passed, ends it. Never touches another of the same id. */
export async function end(process: ProcessIdentity, patience = 5000): Promise<void> {
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
export const endPid = (pid: number, patience = 2000): Promise<void> => end(identityOf(pid), patience)
