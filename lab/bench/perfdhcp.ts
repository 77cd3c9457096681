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

/** The search goes up by this while nothing has failed, and ends when the least rate that failed is so near to the best. */
const [climb, near] = [1.3, 1.02]

/** Milliseconds for the server to be done with what a trial has left behind. */
const pause = 500

/**
 * The most exchanges that were completed in a trial with ≤ 1 % drops: up while rates are served, then halfway between the
 * best and the least that failed. What failed next to the best is tried once more, for a shared machine fails a trial by
 * chance; where it is served then, the search goes on from there.
 */
export async function highestRate(
  start: number,
  trials: number,
  tryRate: (rate: number) => Promise<Trial>,
): Promise<Trial | undefined> {
  let best: Trial | undefined
  let failed: number | undefined
  let isSecondTry = false
  let rate = Math.round(start)
  for (let trial = 0; trial < trials; trial++) {
    if (trial > 0) await sleep(pause)
    const result = await tryRate(rate)
    if (result.drops <= mostDrops) {
      if (!best || result.done > best.done) best = result
      if (failed !== undefined && rate >= failed) failed = undefined
    } else {
      failed = Math.min(failed ?? rate, rate)
      if (isSecondTry) break
    }
    const served = best?.asked ?? 0
    isSecondTry = failed !== undefined && failed / served <= near
    if (failed === undefined) rate = Math.round(served * climb)
    else if (isSecondTry) rate = failed
    else rate = Math.round(served === 0 ? failed / climb : Math.sqrt(served * failed))
  }
  return best
}
