import { createHash } from 'node:crypto'
import { BootloomError } from '../config/errors.ts'
import type { Digest } from './digest.ts'
import { memoryFile } from './memory-file.ts'
import type { Store } from './store.ts'

/** A blob in memory. */
export interface HotBlob {
  readonly bytes: Buffer
  /** Descriptor of a file with the same bytes, good for as long as somebody holds them; small blobs have none. */
  readonly descriptor?: number
}

/** Bytes: what is smaller is copied sooner than it is sent from a file. */
const smallestFile = 256 * 1024

/**
 * Blobs held in memory once for all readers, checked against their digest when they are loaded; the longest unused ones
 * go when the limit is reached. Hashing goes along with reading, a chunk at a time, so the loop never stands still.
 */
export class HotBlobs {
  readonly #store: Store
  readonly #limit: number
  readonly #blobs = new Map<Digest, { readonly size: number; readonly blob: Promise<HotBlob> }>()
  #held = 0

  /** `limit` in bytes. */
  constructor(store: Store, limit: number) {
    this.#store = store
    this.#limit = limit
  }

  /** The blob, or undefined when it is so large that it would push out the others: stream it from the disk then. */
  async get(digest: Digest, size: number): Promise<HotBlob | undefined> {
    if (size > this.#limit / 2) return undefined
    const known = this.#blobs.get(digest)
    const entry = known ?? { size, blob: this.#load(digest, size) }
    this.#blobs.delete(digest)
    this.#blobs.set(digest, entry)
    if (!known) {
      this.#held += size
      this.#evict()
      entry.blob.catch(() => this.#drop(digest))
    }
    return entry.blob
  }

  #drop(digest: Digest): void {
    const entry = this.#blobs.get(digest)
    if (entry && this.#blobs.delete(digest)) this.#held -= entry.size
  }

  #evict(): void {
    for (const digest of this.#blobs.keys()) {
      if (this.#held <= this.#limit) return
      this.#drop(digest)
    }
  }

  async #load(digest: Digest, size: number): Promise<HotBlob> {
    const file = size < smallestFile ? undefined : memoryFile(digest, size)
    const blob = file ?? { bytes: Buffer.allocUnsafeSlow(size) }
    const hash = createHash('sha256')
    let filled = 0
    for await (const chunk of this.#store.stream(digest) as AsyncIterable<Buffer>) {
      if (filled + chunk.length > size) break
      chunk.copy(blob.bytes, filled)
      hash.update(chunk)
      filled += chunk.length
    }
    if (filled === size && `sha256:${hash.digest('hex')}` === digest) {
      file?.collapse()
      return blob
    }
    throw new BootloomError('BLOB_CORRUPT', `the blob ${digest} does not match its name`, {
      where: this.#store.path(digest),
    })
  }
}
