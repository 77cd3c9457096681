import type { Logger } from '../config/log.ts'

/** Milliseconds in which the same kind from the same address is logged once. */
const quiet = 60_000
const maxRemembered = 1000

/**
 * What was refused, by kind: counted each time, logged once a minute for each kind and address, with how many there were
 * since; so that abuse costs neither the log nor the disk, and is seen.
 */
export class Refusals {
  readonly #log: Logger
  readonly #counts = new Map<string, number>()
  readonly #told = new Map<string, { at: number; since: number }>()

  constructor(log: Logger) {
    this.#log = log
  }

  /**
   * Since the start, by kind: an error's code, `CONNECTIONS_TOTAL`, `CONNECTIONS_OF_ADDRESS`, `REQUEST_LATE`,
   * `REQUEST_MALFORMED` or `READER_CUT`.
   */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts
  }

  add(kind: string, from: string, details: Readonly<Record<string, unknown>> = {}): void {
    const count = (this.#counts.get(kind) ?? 0) + 1
    this.#counts.set(kind, count)
    const key = `${kind} ${from}`
    const now = Date.now()
    const before = this.#told.get(key)
    if (before && now - before.at < quiet) {
      before.since++
      return
    }
    // Addresses can be made up: beyond so many they share one entry.
    const place = before || this.#told.size < maxRemembered ? key : `${kind} others`
    const others = place === key ? undefined : this.#told.get(place)
    if (others && now - others.at < quiet) {
      others.since++
      return
    }
    const again = (before ?? others)?.since ?? 0
    this.#told.set(place, { at: now, since: 0 })
    this.#log.warn({ event: 'request-refused', kind, from, ...details, count, ...(again > 0 ? { again } : {}) })
    if (this.#told.size >= maxRemembered) this.#forget(now)
  }

  #forget(now: number): void {
    for (const [key, { at }] of this.#told) if (now - at >= quiet) this.#told.delete(key)
  }
}
