/** Milliseconds: a client that answers sooner than this is worth waiting for without sleeping. */
export const moment = 0.1

/**
 * Keeps the event loop turning for a moment in which an acknowledgement is due. To sleep and be woken costs as much
 * processor time as the turning does, and in lock-step it is most of a transfer's time: half of each round trip on one
 * machine. Clients across a slower network take longer than a moment, and are slept for.
 */
export class Awake {
  #until = 0
  #turning = false
  readonly #turn = (): void => {
    if (performance.now() < this.#until) setImmediate(this.#turn)
    else this.#turning = false
  }

  /** `now` as in `performance.now()`. */
  for(now: number): void {
    this.#until = now + moment
    if (this.#turning) return
    this.#turning = true
    setImmediate(this.#turn)
  }
}
