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
  readonly #longest: number

  /**
   * `longest`: milliseconds that the client asked for (RFC 2349). It is never made to wait longer, but sooner it may be:
   * curl asks for 6 s, which would be the price of each lost datagram.
   */
  constructor(longest: number = limits.most) {
    this.#longest = longest
    this.#wait = Math.min(limits.first, longest)
  }

  /** Milliseconds. */
  get wait(): number {
    return this.#wait
  }

  /** A datagram sent once took `trip` milliseconds until it was acknowledged. */
  measured(trip: number): void {
    if (this.#smoothed === undefined) {
      this.#smoothed = trip
      this.#deviation = trip / 2
    } else {
      this.#deviation += (Math.abs(this.#smoothed - trip) - this.#deviation) / 4
      this.#smoothed += (trip - this.#smoothed) / 8
    }
    this.#wait = Math.min(this.#longest, Math.max(limits.least, this.#smoothed + 4 * this.#deviation))
  }

  /** What was sent is known not to have left. */
  hurry(): void {
    this.#wait = Math.min(this.#wait, limits.least)
  }

  /** Nothing came. */
  backOff(): void {
    this.#wait = Math.min(this.#longest, this.#wait * 2)
  }
}
