import type { Logger } from '../config/log.ts'

/** Milliseconds: how often the counts are told, and how often each kind of trouble at most. */
const everyMinute = 60_000
const quiet = 10_000

/** What a flood of requests meets. */
const troubles = {
  withheld: 'requests without options beyond what sources that never acknowledged are sent a second: they ask again',
  evicted: 'transfers that nobody answered were ended, since others wait',
  full: 'too many transfers: who asks is told to ask again',
  refused: 'requests for what is not here',
} as const
type Trouble = keyof typeof troubles

/** Counts what the server does, and tells it once a minute in which there was anything; troubles at once, but rarely. */
export class TftpTally {
  readonly #log: Logger
  readonly #timer: NodeJS.Timeout
  readonly #told = new Map<Trouble, { at: number; since: number }>()
  #counts: Record<string, number> = {}

  constructor(log: Logger) {
    this.#log = log
    this.#timer = setInterval(() => this.#tell(), everyMinute).unref()
  }

  /** By kind: `request`, `sent`, `malformed`… */
  count(kind: string): void {
    this.#counts[kind] = (this.#counts[kind] ?? 0) + 1
  }

  /** Counts, and tells the first and then at most one in ten seconds, with how often it happened since. */
  trouble(kind: Trouble, latest: Readonly<Record<string, unknown>>): void {
    this.count(kind)
    const told = this.#told.get(kind) ?? { at: Number.NEGATIVE_INFINITY, since: 0 }
    this.#told.set(kind, told)
    told.since++
    if (performance.now() - told.at < quiet) return
    const about = { event: `tftp-${kind}`, ...latest, count: told.since, reason: latest.reason ?? troubles[kind] }
    if (kind === 'refused') this.#log.info(about)
    else this.#log.warn(about)
    told.at = performance.now()
    told.since = 0
  }

  close(): void {
    clearInterval(this.#timer)
    this.#tell()
  }

  #tell(): void {
    if (Object.keys(this.#counts).length === 0) return
    this.#log.info({ event: 'tftp-minute', ...this.#counts })
    this.#counts = {}
  }
}
