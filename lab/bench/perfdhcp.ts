import { execa } from 'execa'
import { BootloomError } from '../../src/config/errors.ts'
import { inside } from '../namespace.ts'

/** One run of perfdhcp at a steady rate of new exchanges. */
export interface Trial {
  /** DISCOVERs a second that were asked for. */
  readonly asked: number
  /** Exchanges completed, by the seconds that DISCOVERs were sent for. */
  readonly done: number
  /** Of the exchanges begun, the part that did not come to its ACK. */
  readonly drops: number
  /** Milliseconds on average: DISCOVER to OFFER, and REQUEST to ACK. */
  readonly delays: readonly number[]
  /** Answers that came, but too late (perfdhcp counts them as dropped), or to nobody. */
  readonly orphans: number
}

interface Load {
  readonly namespace: string
  readonly interface: string
  readonly server: string
  readonly rate: number
  readonly seconds: number
  readonly clients: number
}

/** perfdhcp (Debian: kea-admin) asks as a relay would; it waits a second for each answer. */
export async function perfdhcp(load: Load): Promise<Trial> {
  const { rate, seconds, clients } = load
  const numbers = ['-r', String(rate), '-R', String(clients), '-p', String(seconds), '-W', '1000000']
  const words = ['perfdhcp', '-4', '-l', load.interface, ...numbers, load.server]
  const [file, ...args] = inside(load.namespace, words)
  // Exit status 3: some exchanges were not completed.
  const { stdout, stderr } = await execa(file, args, { reject: false, stdin: 'ignore', timeout: (seconds + 20) * 1000 })
  const all = (pattern: RegExp) => [...stdout.matchAll(pattern)].map((match) => Number(match[1]))
  const [begun = 0] = all(/sent packets: (\d+)/g)
  const received = all(/received packets: (\d+)/g)
  if (begun === 0) {
    throw new BootloomError('LAB_FAILED', 'perfdhcp sent nothing', {
      details: `${stdout}\n${stderr}`.trim().split('\n').slice(-8),
    })
  }
  const acknowledged = received[1] ?? 0
  return {
    asked: rate,
    done: acknowledged / seconds,
    drops: 1 - acknowledged / begun,
    delays: all(/avg delay: ([\d.]+) ms/g),
    orphans: all(/orphans: (\d+)/g).reduce((sum, count) => sum + count, 0),
  }
}

/** Of the trials with at most this part of drops, the one that completed most. */
export const mostDrops = 0.01

/**
 * The highest rate at ≤ 1 % drops: doubles or halves from `start` until it lies between two trials, then bisects to
 * within 4 %. One failed trial on a shared machine may be chance, so a rate fails only when it fails twice.
 */
export async function highestRate(
  start: number,
  tryRate: (rate: number) => Promise<Trial>,
): Promise<Trial | undefined> {
  let best: Trial | undefined
  let low = 0
  let high = Number.POSITIVE_INFINITY
  let rate = start
  while (low === 0 || high / low > 1.04) {
    if (high < 20) break
    const holds = await passes(rate)
    if (holds) low = rate
    else high = rate
    rate = Math.round(low === 0 ? high / 1.6 : high === Number.POSITIVE_INFINITY ? low * 1.25 : (low + high) / 2)
  }
  return best

  async function passes(at: number): Promise<boolean> {
    for (let attempt = 0; attempt < 2; attempt++) {
      const trial = await tryRate(at)
      if (trial.drops <= mostDrops) {
        if (!best || trial.done > best.done) best = trial
        return true
      }
      // Far off: a second look would not change that.
      if (trial.drops > 0.05) return false
    }
    return false
  }
}
