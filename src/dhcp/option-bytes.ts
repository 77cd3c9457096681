import type { Options } from './options.ts'

/** Options that stand one after the other: what many messages carry stays as it is, and each adds its own. */
export class LayeredOptions implements Options {
  /** No option is in two of them. */
  readonly layers: readonly Options[]

  constructor(layers: readonly Options[]) {
    this.layers = layers
  }

  get size(): number {
    return this.layers.reduce((sum, { size }) => sum + size, 0)
  }

  get(code: number): Buffer | undefined {
    for (const layer of this.layers) {
      const value = layer.get(code)
      if (value) return value
    }
    return undefined
  }

  has(code: number): boolean {
    return this.get(code) !== undefined
  }

  entries(): MapIterator<[number, Buffer]> {
    return new Map(this.layers.flatMap((layer) => [...layer])).entries()
  }

  [Symbol.iterator](): MapIterator<[number, Buffer]> {
    return this.entries()
  }

  keys(): MapIterator<number> {
    return new Map(this).keys()
  }

  values(): MapIterator<Buffer> {
    return new Map(this).values()
  }

  forEach(tell: (value: Buffer, code: number, all: Options) => void): void {
    for (const [code, value] of this) tell(value, code, this)
  }
}

/** What options that many messages carry look like in each of them. */
const writtenBefore = new WeakMap<Options, Buffer>()

/** Options that many messages carry: they are put into bytes once, and must not change any more. */
export function written(options: Options): Options {
  const bytes = Buffer.alloc(lengthOfOptions(options))
  writeOptions(bytes, 0, options)
  writtenBefore.set(options, bytes)
  return options
}

/** Bytes of the options field, without its end. */
export function lengthOfOptions(options: Options): number {
  const ready = writtenBefore.get(options)
  if (ready) return ready.length
  let length = 0
  if (options instanceof LayeredOptions) {
    for (const layer of options.layers) length += lengthOfOptions(layer)
    return length
  }
  for (const value of options.values()) length += value.length + 2 * Math.max(1, Math.ceil(value.length / 255))
  return length
}

/** Returns where they end. */
export function writeOptions(bytes: Buffer, from: number, options: Options): number {
  const ready = writtenBefore.get(options)
  if (ready) {
    bytes.set(ready, from)
    return from + ready.length
  }
  let at = from
  if (options instanceof LayeredOptions) {
    for (const layer of options.layers) at = writeOptions(bytes, at, layer)
    return at
  }
  for (const [code, value] of options) {
    if (value.length > 255) {
      for (const chunk of splitOption(code, value)) {
        bytes.set(chunk, at)
        at += chunk.length
      }
    } else {
      bytes[at] = code
      bytes[at + 1] = value.length
      bytes.set(value, at + 2)
      at += 2 + value.length
    }
  }
  return at
}

/** An option as one or more instances of up to 255 bytes (RFC 3396 §5). */
export function splitOption(code: number, value: Buffer): Buffer[] {
  const chunks: Buffer[] = []
  for (let at = 0; at === 0 || at < value.length; at += 255) {
    const part = value.subarray(at, at + 255)
    chunks.push(Buffer.concat([Buffer.of(code, part.length), part]))
  }
  return chunks
}
