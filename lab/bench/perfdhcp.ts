import { readFile, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import { BootloomError } from '../../src/config/errors.ts'
import { inside } from '../../src/machine/namespace.ts'

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
  const { stdout, stderr } = await withRoomToReceive(() =>
    execa(file, args, { reject: false, stdin: 'ignore', timeout: (seconds + 20) * 1000 }),
  )
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

const defaultBuffer = '/proc/sys/net/core/rmem_default'

/**
 * perfdhcp takes the kernel's default for its receive buffer (208 KiB: 8 ms at these rates), and counts as lost what
 * overflows there, though the server has answered. It alone is started with more: the server has its socket already.
 */
async function withRoomToReceive<T>(run: () => Promise<T>): Promise<T> {
  const before = await readFile(defaultBuffer, 'utf8')
  await writeFile(defaultBuffer, String(2 ** 23))
  try {
    const running = run()
    await sleep(500)
    await writeFile(defaultBuffer, before)
    return await running
  } finally {
    await writeFile(defaultBuffer, before)
  }
}

/** What counts as serving a rate: this part of the exchanges is lost at most. */
const mostDrops = 0.01

/** Steps of the search: how far it goes up after a rate that was served, and down after one that was not. */
const steps = [1.5, 1.22, 1.1, 1.05]

/**
 * The most exchanges that were completed in a trial with ≤ 1 % drops. Climbs while rates are served and steps down where
 * they are not, by ever smaller steps; where a shared machine failed a trial by chance, the next ones climb again.
 */
export async function highestRate(
  start: number,
  trials: number,
  tryRate: (rate: number) => Promise<Trial>,
): Promise<Trial | undefined> {
  let best: Trial | undefined
  let step = 0
  let rate = start
  let served: boolean | undefined
  for (let trial = 0; trial < trials; trial++) {
    const result = await tryRate(Math.round(rate))
    const holds = result.drops <= mostDrops
    if (holds && (!best || result.done > best.done)) best = result
    if (served !== undefined && served !== holds) step = Math.min(step + 1, steps.length - 1)
    served = holds
    rate = holds ? rate * steps[step]! : rate / steps[step]!
  }
  return best
}
