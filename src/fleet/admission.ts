/** Seconds that an admitted node may be silent before its place goes to the next: it was switched off. */
const silence = 45
/** Seconds between two questions of a waiting node, before jitter. */
const pause = { least: 3, most: 30 }
/** What a download takes until one was seen; seconds. */
const firstGuess = 10
const maxWaiting = 50_000

/** A waiting node's place in the queue, counted from 1, and the seconds after which it shall ask again. */
export interface Wait {
  readonly place: number
  readonly of: number
  readonly seconds: number
  /** Until its turn, as far as can be told. */
  readonly estimate: number
}

/** What a node's screen says of it. */
export const waitWords = ({ place, of, seconds, estimate }: Wait) => ({
  place: String(place),
  of: String(of),
  retry: String(seconds),
  estimate: String(estimate),
})

interface Admitted {
  readonly since: number
  lastSeen: number
}

/**
 * Lets so many nodes download at once; the others wait in the order in which they came. A node that asks finds itself
 * admitted when no more nodes stand before it than places are free, so nobody is passed over; one that does not come
 * back when it was told to, or falls silent, loses its place. Times come in from outside, milliseconds.
 */
export class Admission {
  readonly #limit: number
  readonly #random: () => number
  readonly #admitted = new Map<string, Admitted>()
  /** By MAC, in the order of coming: until when it is expected back. */
  readonly #queue = new Map<string, number>()
  /** Seconds that a download takes, smoothed. */
  #took = firstGuess

  constructor(limit: number, random: () => number = Math.random) {
    this.#limit = limit
    this.#random = random
  }

  get admitted(): number {
    return this.#admitted.size
  }

  get waiting(): number {
    return this.#queue.size
  }

  /** A node asks for its script: undefined when it may download, else how long it is to wait. */
  ask(mac: string, now: number): Wait | undefined {
    this.#expire(now)
    const known = this.#admitted.get(mac)
    if (known) {
      known.lastSeen = now
      return undefined
    }
    if (!this.#queue.has(mac) && this.#queue.size < maxWaiting) this.#queue.set(mac, now)
    const place = this.#placeOf(mac)
    if (place <= this.#limit - this.#admitted.size) {
      this.#queue.delete(mac)
      this.#admitted.set(mac, { since: now, lastSeen: now })
      return undefined
    }
    const estimate = Math.ceil((place / this.#limit) * this.#took)
    const base = Math.min(pause.most, Math.max(pause.least, estimate / 2))
    // Nodes that were switched on together shall not come back together.
    const seconds = Math.ceil(base * (0.75 + this.#random() / 2))
    if (this.#queue.has(mac)) this.#queue.set(mac, now + (2 * seconds + 15) * 1000)
    return { place, of: this.#queue.size, seconds, estimate }
  }

  /** Bytes go to the node. */
  moving(mac: string, now: number): void {
    const node = this.#admitted.get(mac)
    if (node) node.lastSeen = now
  }

  /** The node has all that it came for. */
  done(mac: string, now: number): void {
    const node = this.#admitted.get(mac)
    if (!node || !this.#admitted.delete(mac)) return
    this.#took = 0.8 * this.#took + 0.2 * ((now - node.since) / 1000)
  }

  #placeOf(mac: string): number {
    let place = 1
    for (const waiting of this.#queue.keys()) {
      if (waiting === mac) break
      place++
    }
    return place
  }

  #expire(now: number): void {
    for (const [mac, { lastSeen }] of this.#admitted) if (now - lastSeen > silence * 1000) this.#admitted.delete(mac)
    for (const [mac, until] of this.#queue) if (now > until) this.#queue.delete(mac)
  }
}
