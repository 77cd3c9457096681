/** What is sent: buffers shared by all transfers of it, one after the other. */
export class Content {
  readonly size: number
  readonly #parts: readonly Buffer[]
  /** Where each part begins. */
  readonly #starts: readonly number[]
  /** The part that was read last: blocks are asked for in order. */
  #part = 0

  constructor(parts: readonly Buffer[]) {
    this.#parts = parts
    let size = 0
    this.#starts = parts.map((part) => {
      const start = size
      size += part.length
      return start
    })
    this.size = size
  }

  /** Copies bytes `from` to `to` (exclusive, at most `size`) to `target` at `at`. */
  copy(target: Buffer, at: number, from: number, to: number): void {
    let next = from
    if (this.#starts[this.#part]! > next) this.#part = 0
    while (next < to) {
      const part = this.#parts[this.#part]!
      const inside = next - this.#starts[this.#part]!
      if (inside >= part.length) {
        this.#part++
        continue
      }
      next += part.copy(target, at + next - from, inside, inside + to - next)
    }
  }
}
