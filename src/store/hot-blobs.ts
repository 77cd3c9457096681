import { createHash } from 'node:crypto'
import { BootloomError } from '../config/errors.ts'
import type { Digest } from './digest.ts'
import type { Store } from './store.ts'

/** Blobs remembered as verified. */
const maxVerified = 10_000

/**
 * Blobs held in memory once for all readers, checked against their digest when they are loaded; the longest unused ones
 * go when the limit is reached. Hashing goes along with reading, a chunk at a time, so the loop never stands still.
 */
export class HotBlobs {
  readonly #store: Store
  readonly #limit: number
  readonly #blobs = new Map<Digest, { readonly size: number; readonly bytes: Promise<Buffer> }>()
  readonly #verified = new Map<Digest, Promise<void>>()
  #held = 0

  /** `limit` in bytes. */
  constructor(store: Store, limit: number) {
    this.#store = store
    this.#limit = limit
  }

  /** The blob, or undefined when it is so large that it would push out the others: stream it from the disk then. */
  async get(digest: Digest, size: number): Promise<Buffer | undefined> {
    if (size > this.#limit / 2) return undefined
    const known = this.#blobs.get(digest)
    const blob = known ?? { size, bytes: this.#load(digest, size) }
    this.#blobs.delete(digest)
    this.#blobs.set(digest, blob)
    if (!known) {
      this.#held += size
      this.#evict()
      blob.bytes.catch(() => this.#drop(digest))
    }
    return blob.bytes
  }

  /** Makes sure, once, that the file of a blob is what its name says, for who sends it from there. BLOB_CORRUPT. */
  verify(digest: Digest, size: number): Promise<void> {
    const known = this.#verified.get(digest)
    if (known) return known
    const checked = this.#read(digest, size, () => {})
    this.#verified.set(digest, checked)
    checked.catch(() => this.#verified.delete(digest))
    if (this.#verified.size > maxVerified) this.#verified.delete(this.#verified.keys().next().value!)
    return checked
  }

  #drop(digest: Digest): void {
    const blob = this.#blobs.get(digest)
    if (blob && this.#blobs.delete(digest)) this.#held -= blob.size
  }

  #evict(): void {
    for (const digest of this.#blobs.keys()) {
      if (this.#held <= this.#limit) return
      this.#drop(digest)
    }
  }

  async #load(digest: Digest, size: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafeSlow(size)
    await this.#read(digest, size, (chunk, at) => void chunk.copy(bytes, at))
    return bytes
  }

  async #read(digest: Digest, size: number, take: (chunk: Buffer, at: number) => void): Promise<void> {
    const hash = createHash('sha256')
    let filled = 0
    for await (const chunk of this.#store.stream(digest) as AsyncIterable<Buffer>) {
      if (filled + chunk.length > size) break
      take(chunk, filled)
      hash.update(chunk)
      filled += chunk.length
    }
    if (filled === size && `sha256:${hash.digest('hex')}` === digest) return
    throw new BootloomError('BLOB_CORRUPT', `the blob ${digest} does not match its name`, {
      where: this.#store.path(digest),
    })
  }
}
