import type { Logger } from '../config/log.ts'
import { countOptioned, optionsOfNode } from '../state/optioned.ts'
import { isRedisAway } from '../state/record.ts'
import type { Redis } from '../state/redis.ts'
import { overlay, readNamedOptions } from './named-options.ts'
import type { Options } from './options.ts'

/** Milliseconds: how often it is asked whether any node or group has options at all; how long one answer may take. */
const [askEvery, patience] = [1000, 250]
const mostRemembered = 20_000

/** DHCP options that the admin gave nodes and groups. While nobody has any, nothing is looked up for a message. */
export class FleetOptions {
  readonly #redis: Redis
  readonly #log: Logger
  readonly #remembered = new Map<string, Options>()
  readonly #timer: NodeJS.Timeout
  // Until it is known, each message looks for itself.
  #any = true

  private constructor(redis: Redis, log: Logger) {
    this.#redis = redis
    this.#log = log
    this.#timer = setInterval(() => void this.#lookForAny(), askEvery).unref()
  }

  static async open(redis: Redis, log: Logger): Promise<FleetOptions> {
    const options = new FleetOptions(redis, log)
    await options.#lookForAny()
    return options
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
  }

  /** Undefined at once while nobody has any. Rejects when Redis is away, unless this node's options were looked up before. */
  of(mac: string): Promise<Options | undefined> | undefined {
    return this.#any ? this.#lookUp(mac) : undefined
  }

  async #lookUp(mac: string): Promise<Options> {
    const remembered = this.#remembered.get(mac)
    try {
      const layers = await within(optionsOfNode(this.#redis, mac), remembered ? patience : undefined)
      const report = (finding: string) => this.#log.warn({ event: 'dhcp-option-unfit', mac, reason: finding })
      const options = overlay(...layers.map((named) => readNamedOptions(named, 'options', report)))
      this.#remember(mac, options)
      return options
    } catch (error) {
      if (!remembered || !isRedisAway(error)) throw error
      return remembered
    }
  }

  async #lookForAny(): Promise<void> {
    try {
      this.#any = (await countOptioned(this.#redis)) > 0
    } catch {
      // Redis is away: what was known still holds.
    }
  }

  #remember(mac: string, options: Options): void {
    this.#remembered.delete(mac)
    this.#remembered.set(mac, options)
    if (this.#remembered.size > mostRemembered) this.#remembered.delete(this.#remembered.keys().next().value!)
  }
}

/** Rejects as a command of Redis does that takes too long. */
async function within<T>(answer: Promise<T>, milliseconds: number | undefined): Promise<T> {
  if (milliseconds === undefined) return answer
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error('Command timed out')), milliseconds)
  return Promise.race([answer, promise]).finally(() => clearTimeout(timer))
}
