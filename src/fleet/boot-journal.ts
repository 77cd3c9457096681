import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../config/log.ts'
import type { Settings } from '../config/settings.ts'
import { type Boot, putBoots } from '../state/boots.ts'
import { addEvent, type Event } from '../state/events.ts'
import { recordSighting } from '../state/nodes.ts'
import type { Redis } from '../state/redis.ts'
import { recordGiven, recordReady, settleTries } from '../state/tries.ts'
import { choiceOf } from './assignment.ts'

type FleetSettings = Pick<Settings, 'unknown' | 'fleet'>

/** What happened to a bundle on a node: all of it was handed over, the node is ready with it, or has had its tries. */
type Outcome =
  | { readonly kind: 'given' | 'ready'; readonly boot: Boot; readonly at: number }
  | { readonly kind: 'spent'; readonly mac: string }

/** Of each kind; what comes beyond that while Redis is away is lost, and the loss is counted. */
const maxWaiting = 20_000
const batch = 200
/** Milliseconds. */
const retryAfter = 500

/**
 * Writes boots, sightings and events to Redis behind the datagram path. What changed several times while a write was
 * under way is written once, as it stands last. While Redis is away it waits, says so once, and goes on afterwards.
 */
export class BootJournal {
  readonly #redis: Redis
  readonly #settings: FleetSettings
  readonly #log: Logger
  readonly #boots = new Map<string, Boot>()
  readonly #sightings = new Map<string, { at: number; identity: { uuid?: string; serial?: string } }>()
  readonly #events: Event[] = []
  readonly #outcomes: Outcome[] = []
  #writing: Promise<void> | undefined
  #failing = false
  #lost = 0
  #closed = false

  constructor(redis: Redis, settings: FleetSettings, log: Logger) {
    this.#redis = redis
    this.#settings = settings
    this.#log = log
  }

  boot(boot: Boot): void {
    this.#boots.set(boot.id, boot)
    this.#bound(this.#boots)
    this.#wake()
  }

  sighting(mac: string, identity: { readonly uuid?: string; readonly serial?: string }): void {
    const waiting = this.#sightings.get(mac)
    this.#sightings.set(mac, { at: Date.now(), identity: { ...waiting?.identity, ...identity } })
    this.#bound(this.#sightings)
    this.#wake()
  }

  event(event: Event): void {
    if (this.#events.length < maxWaiting) this.#events.push(event)
    else this.#lost++
    this.#wake()
  }

  outcome(outcome: Outcome): void {
    if (this.#outcomes.length < maxWaiting) this.#outcomes.push(outcome)
    else this.#lost++
    this.#wake()
  }

  /** Resolves when nothing is waiting, or when Redis refuses to take it. */
  async flush(): Promise<void> {
    while (this.#waiting() && !this.#failing) await (this.#writing ?? this.#wake())
  }

  async close(): Promise<void> {
    await this.flush()
    this.#closed = true
    if (this.#waiting()) this.#log.error({ event: 'boots-unwritten', boots: this.#boots.size, lost: this.#lost })
  }

  #waiting(): boolean {
    return this.#boots.size + this.#sightings.size + this.#events.length + this.#outcomes.length > 0
  }

  #bound(map: Map<string, unknown>): void {
    if (map.size <= maxWaiting) return
    map.delete(map.keys().next().value!)
    this.#lost++
  }

  #wake(): Promise<void> {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined
    })
    return this.#writing
  }

  async #write(): Promise<void> {
    // One turn of the event loop later: all that one datagram causes is one write.
    await new Promise(setImmediate)
    while (this.#waiting() && !this.#closed) {
      try {
        await this.#writeBatch()
        if (this.#failing) this.#log.warn({ event: 'boots-written-again', lost: this.#lost })
        this.#failing = false
        this.#lost = 0
      } catch (error) {
        if (!this.#failing) this.#log.error({ event: 'boots-not-written', reason: (error as Error).message })
        this.#failing = true
        await sleep(retryAfter, undefined, { ref: false })
      }
    }
  }

  async #writeBatch(): Promise<void> {
    const boots = [...this.#boots.values()].slice(0, batch)
    if (boots.length > 0) await putBoots(this.#redis, boots)
    // Only what did not change meanwhile is done with.
    for (const boot of boots) if (this.#boots.get(boot.id) === boot) this.#boots.delete(boot.id)
    const sightings = [...this.#sightings].slice(0, batch)
    await Promise.all(sightings.map(([mac, { at, identity }]) => recordSighting(this.#redis, mac, at, identity)))
    for (const [mac, seen] of sightings) if (this.#sightings.get(mac) === seen) this.#sightings.delete(mac)
    const events = this.#events.slice(0, batch)
    await Promise.all(events.map((event) => addEvent(this.#redis, event)))
    this.#events.splice(0, events.length)
    // Sent in their order over one connection, and so done in their order.
    const outcomes = this.#outcomes.slice(0, batch)
    await Promise.all(outcomes.map((outcome) => this.#account(outcome)))
    this.#outcomes.splice(0, outcomes.length)
  }

  async #account(outcome: Outcome): Promise<void> {
    if (outcome.kind === 'spent') {
      const events = await settleTries(this.#redis, choiceOf(outcome.mac, this.#settings))
      for (const event of events) this.#log.warn(event)
      return
    }
    const { id: boot, mac, blueprint, bundle } = outcome.boot
    if (blueprint === undefined || bundle === undefined) return
    const one = { mac, blueprint, bundle, boot }
    await (outcome.kind === 'given' ? recordGiven(this.#redis, one) : recordReady(this.#redis, one, outcome.at))
  }
}
