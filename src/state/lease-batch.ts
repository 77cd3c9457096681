import { keys } from './keys.ts'
import { batchScript } from './lease-scripts.ts'
import type { Redis } from './redis.ts'

/**
 * One change of the lease table: what is asked, the client's identity and names, an address (of an offer: the one
 * wanted, or ''), and milliseconds. It answers '' for no, and else: `offer` the address, with = before one that the
 * client had, the others '1'. `restore` puts back what this server granted while Redis was away.
 */
export interface Op {
  readonly what: 'offer' | 'commit' | 'restore' | 'release' | 'decline' | 'withdraw'
  readonly identity: string
  readonly names: string
  readonly address: string
  readonly milliseconds: number
  /** The machine's firmware asks, not what it has started. */
  readonly firmware: boolean
  /** Of an offer: an address held in reserve for whoever comes first, or ''. */
  readonly spare: string
}

/** What an op is done in: a subnet, and the addresses that may be given. */
export interface Scope {
  /** The subnet's CIDR. */
  readonly subnet: string
  /** Its first address, the ranges and the addresses never given, as the script reads them. */
  readonly words: readonly (string | number)[]
}

interface Waiting extends Op {
  readonly settle: (answer: string) => void
  readonly fail: (error: Error) => void
}

/** A batch of this size takes Redis about 1 ms, and its answers do not overrun the buffer of a relay that gets them all. */
const largest = 64
/** Milliseconds after which Redis counts as away; clients ask again after 4 s (RFC 2131 §4.1). */
const patience = 1000

/** Milliseconds for which what Redis has last said of a subnet counts as known. */
const current = 1000

/** Redis did not take the change; whether it came to be is not known. */
export class LeaseTableAway extends Error {
  constructor(reason: string, cause?: unknown) {
    super(`the lease table does not answer: ${reason}`, { cause })
    this.name = 'LeaseTableAway'
  }
}

type Script = (...words: readonly (string | number)[]) => Promise<string[]>

/**
 * Group commit: while one batch is on its way to Redis, all that is asked meanwhile gathers for the next. So the more
 * there is to do, the less each change costs, and none is answered before Redis has it.
 */
export class LeaseBatches {
  readonly #redis: Redis
  readonly #script: Script
  readonly #waiting = new Map<Scope, Waiting[]>()
  readonly #onTaking: (subnet: string) => void
  /** By subnet: the count of takings after the last batch, and when it was. */
  readonly #heard = new Map<string, { readonly takings: number; readonly at: number }>()
  #working = false
  /** A batch that Redis has not answered in time: until it does, or fails, nothing more is sent. */
  #stalled: Promise<unknown> | undefined

  /** `onTaking`: through another server, somebody lost a lease of this subnet, or an address was reserved. */
  constructor(redis: Redis, onTaking: (subnet: string) => void) {
    this.#redis = redis
    this.#onTaking = onTaking
    redis.defineCommand('bootloomLeases', { numberOfKeys: 8, lua: batchScript })
    this.#script = (redis as unknown as { bootloomLeases: Script }).bootloomLeases.bind(redis)
  }

  /** There is more to do than is on its way, and what others did up to a second ago is known. */
  isBusyAndCurrent(subnet: string): boolean {
    const heard = this.#working && !this.#stalled && this.#heard.get(subnet)
    return heard !== false && heard !== undefined && performance.now() - heard.at < current
  }

  /** Rejects with LeaseTableAway when Redis is away, at once where that is known already. */
  run(scope: Scope, op: Op): Promise<string> {
    return new Promise((settle, fail) => {
      if (this.#stalled || this.#redis.status !== 'ready') {
        fail(new LeaseTableAway(this.#stalled ? 'it was silent for too long' : 'no connection'))
        return
      }
      const waiting = this.#waiting.get(scope)
      const entry = { ...op, settle, fail }
      if (waiting) waiting.push(entry)
      else this.#waiting.set(scope, [entry])
      if (this.#working) return
      this.#working = true
      // After this turn of the event loop: all datagrams that it brings go together.
      setImmediate(() => void this.#work())
    })
  }

  async #work(): Promise<void> {
    for (;;) {
      const [next] = this.#waiting
      if (!next) break
      const [scope, waiting] = next
      const batch = waiting.splice(0, largest)
      this.#waiting.delete(scope)
      // At the end: subnets take turns.
      if (waiting.length > 0) this.#waiting.set(scope, waiting)
      try {
        const answers = await this.#send(scope, batch)
        this.#hear(scope.subnet, Number(answers[batch.length]), Number(answers[batch.length + 1]))
        for (const [i, { settle }] of batch.entries()) settle(answers[i]!)
      } catch (error) {
        for (const { fail } of batch) fail(error as Error)
      }
    }
    this.#working = false
  }

  #hear(subnet: string, before: number, own: number): void {
    if (this.#heard.get(subnet)?.takings !== before) this.#onTaking(subnet)
    this.#heard.set(subnet, { takings: before + own, at: performance.now() })
  }

  async #send({ subnet, words }: Scope, batch: readonly Waiting[]): Promise<string[]> {
    if (this.#stalled) throw new LeaseTableAway('it was silent for too long')
    const all = [...keysOf(subnet), ...words]
    for (const { what, identity, names, address, milliseconds, firmware, spare } of batch) {
      all.push(what, identity, names, address, Math.floor(milliseconds), firmware ? 'f' : '', spare)
    }
    const sent = this.#script(...all).catch((cause: Error) => {
      throw new LeaseTableAway(cause.message, cause)
    })
    const { promise: silence, resolve } = Promise.withResolvers<undefined>()
    const timer = setTimeout(resolve, patience, undefined)
    const answers = await Promise.race([sent, silence]).finally(() => clearTimeout(timer))
    if (answers) return answers
    const over = () => {
      this.#stalled = undefined
    }
    this.#stalled = sent.then(over, over)
    throw new LeaseTableAway('it was silent for too long')
  }
}

/** In the order that the script knows them by. */
const keysOf = (subnet: string) => [
  keys.leases(subnet),
  keys.leaseHolders(subnet),
  keys.leaseExpiry(subnet),
  keys.reservations(subnet),
  keys.reservedAddresses(subnet),
  keys.leaseHolds(subnet),
  keys.usedAddresses(subnet),
  keys.leaseTakings(subnet),
]
