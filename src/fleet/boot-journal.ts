import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../config/log.ts'
import { type Boot, putBoots } from '../state/boots.ts'
import { addEvent, type Event } from '../state/events.ts'
import { recordSighting } from '../state/nodes.ts'
import type { Redis } from '../state/redis.ts'

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
  readonly #log: Logger
  readonly #boots = new Map<string, Boot>()
  readonly #sightings = new Map<string, { at: number; identity: { uuid?: string; serial?: string } }>()
  readonly #events: Event[] = []
  #writing: Promise<void> | undefined
  #failing = false
  #lost = 0
  #closed = false

  constructor(redis: Redis, log: Logger) {
    this.#redis = redis
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
    return this.#boots.size + this.#sightings.size + this.#events.length > 0
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
  }
}
