import type { Logger } from '../config/log.ts'

/** Milliseconds in which a kind is logged once. */
const quiet = 60_000
/** Addresses can be made up: so many are told apart. */
const maxAddresses = 1000

/**
 * What was refused, by kind: counted each time, logged at once and then once a minute, with how many there were since and
 * from how many addresses; so that abuse costs neither the log nor the disk, and is seen.
 */
export class Refusals {
  readonly #log: Logger
  readonly #counts = new Map<string, number>()
  readonly #told = new Map<string, { readonly at: number; since: number; readonly addresses: Set<string> }>()

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
    const now = Date.now()
    const before = this.#told.get(kind)
    if (before && now - before.at < quiet) {
      before.since++
      if (before.addresses.size < maxAddresses) before.addresses.add(from)
      return
    }
    const again = before && before.since > 0 ? { again: before.since, addresses: before.addresses.size } : {}
    this.#told.set(kind, { at: now, since: 0, addresses: new Set() })
    this.#log.warn({ event: 'request-refused', kind, from, ...details, count, ...again })
  }
}
