import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

/** What processes took between two moments. */
export interface Usage {
  readonly processes: number
  readonly cpuSeconds: number
  /** Sum of each process's highest resident set since the start of the measure, in bytes. */
  readonly peakRss: number
  /** As `peakRss`, where a page that several processes share counts as a part for each (proc(5), Pss); of samples. */
  readonly peakPss: number
}

/** Clock ticks a second: fixed for user space on Linux (proc(5)). */
const ticks = 100

interface Seen {
  readonly name: string
  readonly cpuAtStart: number
  cpu: number
  peak: number
  peakPss: number
}

/** Watches processes and all that they start, told apart by the name of their command. */
export class UsageWatch {
  readonly #roots: readonly number[]
  readonly #seen = new Map<number, Seen>()
  readonly #timer: NodeJS.Timeout

  constructor(roots: readonly number[]) {
    this.#roots = roots
    this.#look()
    for (const pid of this.#seen.keys()) forgetPeak(pid)
    this.#timer = setInterval(() => this.#look(), 500)
  }

  /** The figures up to now of processes whose command has this name, or of all others. */
  usage(isCounted: (name: string) => boolean): Usage {
    this.#look()
    const counted = [...this.#seen.values()].filter(({ name }) => isCounted(name))
    return {
      processes: counted.length,
      cpuSeconds: counted.reduce((sum, { cpu, cpuAtStart }) => sum + cpu - cpuAtStart, 0),
      peakRss: counted.reduce((sum, { peak }) => sum + peak, 0),
      peakPss: counted.reduce((sum, { peakPss }) => sum + peakPss, 0),
    }
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #look(): void {
    for (const pid of treesOf(this.#roots)) {
      try {
        const status = readFileSync(`/proc/${pid}/status`, 'utf8')
        const cpu = cpuOf(pid)
        const peak = Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024
        const name = /^Name:\s+(.*)/.exec(status)?.[1] ?? ''
        const seen = this.#seen.get(pid)
        const peakPss = Math.max(seen?.peakPss ?? 0, pssOf(pid))
        if (seen) Object.assign(seen, { cpu, peak, peakPss })
        else this.#seen.set(pid, { name, cpuAtStart: cpu, cpu, peak, peakPss })
      } catch {
        // It has ended; what it took until the last look stands.
      }
    }
  }
}

const pssOf = (pid: number): number =>
  Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0) * 1024

function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticks
}

/** Sets the highest resident set back to the present one (proc(5), clear_refs, 5). */
function forgetPeak(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5')
  } catch {
    // Then the peak is that of its whole life: not too low.
  }
}

/** The ids of these processes and of all that they have started. */
export function treesOf(roots: readonly number[]): number[] {
  const found = [...roots]
  for (let at = 0; at < found.length; at++) {
    try {
      for (const task of readdirSync(`/proc/${found[at]}/task`)) {
        const children = readFileSync(`/proc/${found[at]}/task/${task}/children`, 'utf8').trim()
        for (const child of children === '' ? [] : children.split(' ')) found.push(Number(child))
      }
    } catch {
      // Ended meanwhile.
    }
  }
  return [...new Set(found)]
}
