/** Milliseconds. A node that is emulated, or that writes what it got, pauses for longer than its network takes. */
const limits = { first: 1000, least: 200, most: 8000 }

/**
 * How long to wait for an acknowledgement: smoothed round trip and its deviation (Jacobson; RFC 6298 §2), doubled with
 * each silence. After a retransmission the doubled wait stays until a datagram that was sent once only is acknowledged,
 * since of the others nobody knows which copy was (Karn; RFC 6298 §5).
 */
export class RetransmissionTimer {
  #smoothed: number | undefined
  #deviation = 0
  #wait: number
  readonly #fixed: boolean

  /** `fixed`: milliseconds that the client asked for (RFC 2349); they are doubled likewise, but never measured. */
  constructor(fixed?: number) {
    this.#fixed = fixed !== undefined
    this.#wait = fixed ?? limits.first
  }

  /** Milliseconds. */
  get wait(): number {
    return this.#wait
  }

  /** A datagram sent once took `trip` milliseconds until it was acknowledged. */
  measured(trip: number): void {
    if (this.#fixed) return
    if (this.#smoothed === undefined) {
      this.#smoothed = trip
      this.#deviation = trip / 2
    } else {
      this.#deviation += (Math.abs(this.#smoothed - trip) - this.#deviation) / 4
      this.#smoothed += (trip - this.#smoothed) / 8
    }
    this.#wait = Math.min(limits.most, Math.max(limits.least, this.#smoothed + 4 * this.#deviation))
  }

  /** What was sent is known not to have left. */
  hurry(): void {
    this.#wait = Math.min(this.#wait, limits.least)
  }

  /** Nothing came. */
  backOff(): void {
    this.#wait = Math.max(this.#wait, Math.min(limits.most, this.#wait * 2))
  }
}
