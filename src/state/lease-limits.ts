/** A client that finds more addresses than this in use within an hour is itself what is wrong. */
const believed = 3
const hour = 3600_000
/** Declines an hour that are believed, of all clients together. */
const mostInAll = 50
/** Clients that are remembered for having declined. */
const most = 10_000
/** Seconds. */
const shortHold = 60

/** How long a declined address is kept from everybody: not for long where one client, or a swarm of them, declines all. */
export class DeclineLimit {
  readonly #clients = new Map<string, number>()
  #all = { count: 0, since: Number.NEGATIVE_INFINITY }

  /** Seconds; counts the decline. */
  holdFor(mac: string, seconds: number): number {
    const now = performance.now()
    if (now - this.#all.since > hour) {
      this.#all = { count: 0, since: now }
      this.#clients.clear()
    }
    const own = (this.#clients.get(mac) ?? 0) + 1
    this.#all.count++
    this.#clients.set(mac, own)
    if (this.#clients.size > most) this.#clients.delete(this.#clients.keys().next().value!)
    return own > believed || this.#all.count > mostInAll ? Math.min(seconds, shortHold) : seconds
  }
}
