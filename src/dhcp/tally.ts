import type { Logger } from '../config/log.ts'

/** Milliseconds: how often the counts are told, and how often each trouble at most. */
const everyMinute = 60_000
const quiet = 10_000
const aMoment = 1000
/** Clients that found no address are told apart up to so many: an attacker makes up any number. */
const mostTurnedAway = 1000

const effect = 'who has an address keeps it; new clients get one when one is free'

type Occasionally = (latest: unknown) => void

/** Counts what the server does, and tells it once a minute in which there was anything: no line for each packet. */
export class DhcpTally {
  readonly #log: Logger
  readonly #timer: NodeJS.Timeout
  readonly #tellDropped: Occasionally
  readonly #tellUnanswered: Occasionally
  readonly #turnedAway = new Set<string>()
  #exhausted = 0
  #exhaustedTold = Number.NEGATIVE_INFINITY
  #exhaustedTimer: NodeJS.Timeout | undefined
  #counts: Record<string, number> = {}

  constructor(log: Logger) {
    this.#log = log
    this.#timer = setInterval(() => this.#tell(), everyMinute).unref()
    this.#tellDropped = occasionally((count) => log.warn({ event: 'dhcp-overload', count }))
    this.#tellUnanswered = occasionally((count, error) =>
      log.error({ event: 'dhcp-unanswered', reason: String(error), count }),
    )
  }

  /** By the kind of decision: `offer`, `ack`, `nak`, `ignored`… */
  decided(type: string): void {
    this.#counts[type] = (this.#counts[type] ?? 0) + 1
  }

  malformed(): void {
    this.decided('malformed')
  }

  /** More came in than can be answered. */
  dropped(): void {
    this.decided('dropped')
    this.#tellDropped(undefined)
  }

  /**
   * A client found no free address. Told after a second, and then once a minute, with the clients turned away since, and
   * the offers and ACKs of this minute: offers that nobody takes up are what starvation looks like, a pool that is too
   * small has its ACKs.
   */
  exhausted(mac: string, reason: string | undefined): void {
    this.decided('exhausted')
    this.#exhausted++
    if (this.#turnedAway.size < mostTurnedAway) this.#turnedAway.add(mac)
    const wait = Math.max(aMoment, this.#exhaustedTold + everyMinute - performance.now())
    this.#exhaustedTimer ??= setTimeout(() => this.#tellExhausted(reason), wait).unref()
  }

  /** Something failed, the lease table for one: the client asks again. */
  unanswered(error: unknown): void {
    this.decided('unanswered')
    this.#tellUnanswered(error)
  }

  close(): void {
    clearInterval(this.#timer)
    clearTimeout(this.#exhaustedTimer)
    this.#tell()
  }

  #tellExhausted(reason: string | undefined): void {
    const { offer: offers = 0, ack: acks = 0 } = this.#counts
    const count = this.#exhausted
    const clients = this.#turnedAway.size
    this.#log.warn({ event: 'dhcp-exhausted', reason, count, clients, offers, acks, effect })
    this.#exhausted = 0
    this.#turnedAway.clear()
    this.#exhaustedTold = performance.now()
    this.#exhaustedTimer = undefined
  }

  #tell(): void {
    if (Object.keys(this.#counts).length === 0) return
    this.#log.info({ event: 'dhcp-minute', ...this.#counts })
    this.#counts = {}
  }
}

/** Tells at once, and then at most once in ten seconds, of how often it happened since. */
function occasionally(tell: (count: number, latest: unknown) => void): Occasionally {
  let count = 0
  let last = Number.NEGATIVE_INFINITY
  return (latest) => {
    count++
    if (performance.now() - last < quiet) return
    last = performance.now()
    tell(count, latest)
    count = 0
  }
}
