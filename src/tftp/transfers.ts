import type { RemoteInfo } from 'node:dgram'
import type { Settings } from '../config/settings.ts'
import type { Session } from './carrier.ts'

/** A place among the transfers that run at once. */
export interface Slot {
  /** False when the slot was given to another request meanwhile. */
  held(): boolean
  fill(session: Session): void
  free(): void
}

interface Taken {
  readonly key: string
  readonly address: string
  /** The request's bytes. */
  readonly request: Buffer
  /** Undefined while the file is looked up. */
  session?: Session
}

/** Milliseconds. */
const movingEvery = 5000

/**
 * The transfers that run, within their limits in all and for each address. Where there is no room, the transfer of a
 * client that does not answer makes room. For another address, one that never did ends at once, the oldest first: a flood
 * of forged requests fills any table, and a client that exists answers far sooner than the flood comes round to it.
 */
export class Transfers {
  readonly #limits: Settings['tftp']['sessions']
  /** By the client's address and port. */
  readonly #taken = new Map<string, Taken>()
  readonly #perAddress = new Map<string, number>()
  #telling: NodeJS.Timeout | undefined
  readonly #onMoving: (address: string) => void
  readonly #onEvicted: (address: string) => void

  /**
   * `onMoving` is told now and again of each address whose transfers move, `onEvicted` of each whose transfer was never
   * answered and made room for another's.
   */
  constructor(
    limits: Settings['tftp']['sessions'],
    onMoving: (address: string) => void = () => {},
    onEvicted: (address: string) => void = () => {},
  ) {
    this.#limits = limits
    this.#onMoving = onMoving
    this.#onEvicted = onEvicted
  }

  /**
   * A place for this request. `repeated`: it is being answered already. Another request from the same port, or the same
   * once the client had answered and fell silent, is a client that has begun anew.
   */
  take({ address, port }: RemoteInfo, request: Buffer): Slot | 'repeated' | 'full' {
    const key = `${address}:${port}`
    const before = this.#taken.get(key)
    if (before) {
      const anew = before.session?.verified && before.session.repeats > 0
      if (!anew && before.request.equals(request)) return 'repeated'
      this.#end(before, 'another request came from the same port')
    }
    const ofOne = this.#perAddress.get(address) ?? 0
    if (ofOne >= this.#limits.perClient && !this.#endSilent((taken) => taken.address === address)) return 'full'
    if (this.#taken.size >= this.#limits.total && !this.#endUnverified() && !this.#endSilent(() => true)) return 'full'
    const taken: Taken = { key, address, request }
    this.#taken.set(key, taken)
    this.#perAddress.set(address, (this.#perAddress.get(address) ?? 0) + 1)
    return {
      held: () => this.#taken.get(key) === taken,
      fill: (session) => {
        taken.session = session
        this.#telling ??= setInterval(() => this.#tellMoving(), movingEvery)
      },
      free: () => this.#free(taken),
    }
  }

  /** Ends all, telling those clients that have answered. */
  close(): void {
    for (const taken of [...this.#taken.values()]) this.#end(taken, 'the server ends')
    clearInterval(this.#telling)
  }

  #endUnverified(): boolean {
    for (const taken of this.#taken.values()) {
      if (!taken.session || taken.session.verified) continue
      this.#onEvicted(taken.address)
      this.#end(taken, 'never answered, and others wait')
      return true
    }
    return false
  }

  #endSilent(among: (taken: Taken) => boolean): boolean {
    let worst: Taken | undefined
    for (const taken of this.#taken.values()) {
      if (taken.session && among(taken) && silence(taken.session) > (worst ? silence(worst.session!) : 0)) worst = taken
    }
    if (worst) this.#end(worst, 'silent, and others wait')
    return worst !== undefined
  }

  #end(taken: Taken, reason: string): void {
    // Its place is free at once; how much its client had is told later.
    taken.session?.stop(reason)
    this.#free(taken)
  }

  #free(taken: Taken): void {
    if (this.#taken.get(taken.key) !== taken) return
    this.#taken.delete(taken.key)
    const left = this.#perAddress.get(taken.address)! - 1
    if (left > 0) this.#perAddress.set(taken.address, left)
    else this.#perAddress.delete(taken.address)
    if (this.#taken.size > 0) return
    clearInterval(this.#telling)
    this.#telling = undefined
  }

  #tellMoving(): void {
    for (const { session, address } of this.#taken.values()) {
      if (session?.verified && session.repeats === 0) this.#onMoving(address)
    }
  }
}

/** How little is lost by ending a session: 0, its client answers. */
const silence = (session: Session): number =>
  session.repeats === 0 ? 0 : session.repeats + (session.verified ? 0 : 100)
