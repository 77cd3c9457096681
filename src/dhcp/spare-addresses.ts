import { randomBytes } from 'node:crypto'
import { type Pool, sizeOf } from '../state/lease-pools.ts'
import type { Leases } from '../state/leases.ts'
import type { Probe } from './context.ts'

/** Of each pool at most so many addresses are held in reserve by one server, and no more than a sixteenth of it. */
const [most, part] = [32, 16]
/** Milliseconds: how old an answer on the wire may be that an address is given out by, and when it is asked for anew. */
const [freshFor, askEvery] = [60_000, 45_000]
/** Seconds that Redis holds one for us: those of a server that died are free again after that. */
const hold = 120
/** An address found in use by a stranger is left alone for this long. Seconds. */
const declineHold = 3600

interface Spare {
  readonly address: string
  readonly slot: string
  /** When it was asked for last, by `performance.now()`. */
  readonly at: number
}

interface Options {
  readonly leases: Leases
  readonly probe: Probe
  readonly onConflict: (address: string, user: string) => void
  /** Whether this server gives out addresses at the moment. */
  readonly isServing: () => boolean
}

/**
 * Addresses that were asked for on the wire ahead of need, so that a new client's first OFFER need not wait for that.
 * They are held in the lease table, so no other server gives them out; see docs/decisions/0014.
 */
export class SpareAddresses {
  readonly #options: Options
  readonly #server = randomBytes(6).toString('hex')
  readonly #pools = new Map<Pool, Map<string, Spare>>()
  readonly #timer: NodeJS.Timeout
  #closed = false

  constructor(options: Options) {
    this.#options = options
    this.#timer = setInterval(() => this.refresh(), askEvery).unref()
  }

  /** Asks for all of them anew. */
  refresh(): void {
    for (const pool of this.#pools.keys()) void this.#fill(pool)
  }

  /** Begins to hold some of a pool's addresses, if that has not begun yet. */
  keep(pool: Pool): void {
    if (this.#pools.has(pool)) return
    this.#pools.set(pool, new Map())
    void this.#fill(pool)
  }

  /** One that nobody has answered for within the last minute. It is the caller's, who puts it back or replaces it. */
  take(pool: Pool): Spare | undefined {
    this.keep(pool)
    const ready = this.#pools.get(pool)!
    const now = performance.now()
    for (const spare of ready.values()) {
      ready.delete(spare.slot)
      if (now - spare.at < freshFor) return spare
    }
    return undefined
  }

  /** One that was taken was not needed. */
  putBack(pool: Pool, spare: Spare): void {
    this.#pools.get(pool)!.set(spare.slot, spare)
  }

  /** One that was taken is a client's now, or not ours any more: another one is looked for. */
  replace(pool: Pool, { slot }: Spare): void {
    void this.#ask(pool, slot)
  }

  /** Those still held are free again when their time in Redis is over. */
  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
  }

  async #fill(pool: Pool): Promise<void> {
    const slots = Math.min(most, Math.floor(sizeOf(pool) / part))
    const [first] = pool.ranges.flat()
    const ask = (_: unknown, slot: number) => this.#ask(pool, `${this.#server}:${first}:${slot}`)
    await Promise.all(Array.from({ length: slots }, ask))
  }

  async #ask(pool: Pool, slot: string): Promise<void> {
    const { leases, probe, isServing, onConflict } = this.#options
    if (this.#closed || !isServing()) return
    try {
      const address = await leases.holdSpare(pool, slot, hold)
      if (address === undefined) return
      const at = performance.now()
      const user = await probe.ask(address)
      if (user === undefined) this.#pools.get(pool)!.set(slot, { address, slot, at })
      else {
        this.#pools.get(pool)!.delete(slot)
        await leases.declineSpare(pool.subnet, slot, address, declineHold)
        onConflict(address, user)
      }
    } catch {
      // The lease table is away: clients are told so, and the next round comes.
    }
  }
}
