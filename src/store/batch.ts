import { renameSync, writeFileSync } from 'node:fs'
import { readdir, rm, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../config/command.ts'
import { type Digest, digestOf, hexOf } from './digest.ts'
import type { Store } from './store.ts'

/**
 * A group of many small blobs that become visible together at `commit`, after one sync of the file system instead of one
 * for each. Until then nothing of it can be seen; abandoned, it leaves nothing.
 */
export class Batch {
  readonly #store: Store
  readonly #directory: string
  readonly #names = new Set<Digest>()

  constructor(store: Store, directory: string) {
    this.#store = store
    this.#directory = directory
  }

  async write(bytes: Uint8Array): Promise<Digest> {
    const digest = digestOf(bytes)
    if (this.#names.has(digest)) return digest
    if (this.#store.sizeNow(digest) === undefined) {
      writeFileSync(join(this.#directory, hexOf(digest)), bytes, { flag: 'wx', mode: 0o644 })
      this.#names.add(digest)
    }
    return digest
  }

  async commit(): Promise<void> {
    await run('sync', ['-f', this.#directory])
    for (const digest of this.#names) renameSync(join(this.#directory, hexOf(digest)), this.#store.path(digest))
    await this.abandon()
  }

  async abandon(): Promise<void> {
    for (const name of await readdir(this.#directory).catch(() => [])) await unlink(join(this.#directory, name))
    await rm(this.#directory, { recursive: true, force: true })
  }
}
