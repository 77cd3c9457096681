/** Addresses that are remembered, and for how long (milliseconds). */
const remembered = { most: 10_000, for: 10 * 60_000 }
/** First blocks a second to all who have proven nothing, and how many of them may leave at once. */
const budget = { rate: 100, burst: 200 }

/**
 * What is sent to sources that may be forged. RFC 1350 has a request without options answered by 512 bytes, which is up
 * to 36 times its length: nothing shorter starts the transfer. So these answers have a small budget, of all unproven
 * sources together, and who finds it spent is not answered: it asks again. Times in milliseconds of a steady clock.
 */
export class FirstBlocks {
  /** Until when an address counts as proven; the one that was proven first comes first. */
  readonly #proven = new Map<string, number>()
  #left = budget.burst
  #filledAt = 0

  /** A client at this address acknowledged what was sent there. */
  proved(address: string, now: number): void {
    this.#proven.delete(address)
    this.#proven.set(address, now + remembered.for)
    if (this.#proven.size > remembered.most) this.#proven.delete(this.#proven.keys().next().value!)
  }

  /** Whether a first block may leave for this address, now. */
  allow(address: string, now: number): boolean {
    if ((this.#proven.get(address) ?? 0) > now) return true
    this.#left = Math.min(budget.burst, this.#left + ((now - this.#filledAt) * budget.rate) / 1000)
    this.#filledAt = now
    if (this.#left < 1) return false
    this.#left--
    return true
  }
}
