import { order } from './frames.ts'

/** A content that the carrier holds. */
export interface Held {
  readonly id: number
  readonly key: string
  readonly size: number
  uses: number
  idle?: NodeJS.Timeout
}

/** Bytes: what is larger is kept for the next client that asks for it, so long (milliseconds). */
const kept = { from: 65_536, for: 10_000 }

/** What the carrier holds: each content is handed over once for all who are sent it at the same time. */
export class Contents {
  readonly #order: (bytes: Buffer) => void
  readonly #held = new Map<string, Held>()
  readonly #numbers = new WeakMap<Buffer, number>()
  #last = 0

  constructor(give: (bytes: Buffer) => void) {
    this.#order = give
  }

  /** Buffers are taken to be the same content when they are the same objects: what is served never changes. */
  use(parts: readonly Buffer[]): Held {
    const key = parts.map((part) => this.#number(part)).join()
    const held = this.#held.get(key) ?? this.#hold(key, parts)
    clearTimeout(held.idle)
    held.uses++
    return held
  }

  release(held: Held): void {
    if (--held.uses > 0) return
    if (held.size < kept.from) this.#drop(held)
    else held.idle = setTimeout(() => this.#drop(held), kept.for).unref()
  }

  #hold(key: string, parts: readonly Buffer[]): Held {
    const size = parts.reduce((sum, part) => sum + part.length, 0)
    const held: Held = { id: ++this.#last, key, size, uses: 0 }
    this.#order(order.hold(held.id, size))
    this.#held.set(key, held)
    for (const part of parts) if (part.length > 0) this.#order(part)
    return held
  }

  #drop(held: Held): void {
    this.#held.delete(held.key)
    this.#order(order.drop(held.id))
  }

  #number(part: Buffer): number {
    const known = this.#numbers.get(part)
    if (known !== undefined) return known
    this.#numbers.set(part, ++this.#last)
    return this.#last
  }
}
