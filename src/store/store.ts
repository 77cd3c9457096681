import { createHash, randomUUID } from 'node:crypto'
import {
  closeSync,
  createReadStream,
  fsync,
  openSync,
  type ReadStream,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { access, link, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { BootloomError } from '../config/errors.ts'
import { isAlive } from '../config/process.ts'
import { Batch } from './batch.ts'
import { canonicalJson, type Digest, digestOf, hexOf } from './digest.ts'

export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  /** Bytes. */
  readonly size: number
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, string>>
}

/**
 * Immutable blobs in a directory that is an OCI image layout. A blob is written to a temporary name, fsynced and
 * renamed, so one that can be seen is whole, whatever was killed when. Many processes may share the directory.
 */
export class Store {
  readonly directory: string
  private constructor(directory: string) {
    this.directory = directory
  }

  static async open(directory: string): Promise<Store> {
    await mkdir(join(directory, 'blobs', 'sha256'), { recursive: true })
    await mkdir(join(directory, 'incoming'), { recursive: true })
    const store = new Store(directory)
    await store.#removeAbandoned()
    try {
      await access(join(directory, 'oci-layout'))
    } catch {
      await store.#replace(join(directory, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
      await store.#replace(join(directory, 'index.json'), canonicalJson({ schemaVersion: 2, manifests: [] }))
    }
    return store
  }

  /** Names this directory, by whatever path and from whatever machine it is seen; made when it is first asked for. */
  async identity(): Promise<string> {
    const file = join(this.directory, 'identity')
    const found = await readFile(file, 'utf8').catch(() => undefined)
    if (found !== undefined) return found.trim()
    const temporary = this.#temporary()
    await writeFile(temporary, `${randomUUID()}\n`, { flush: true })
    // Of two that make one at the same time, the first counts.
    await link(temporary, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
    await rm(temporary, { force: true })
    return (await readFile(file, 'utf8')).trim()
  }

  path(digest: Digest): string {
    return join(this.directory, 'blobs', 'sha256', hexOf(digest))
  }

  async has(digest: Digest): Promise<boolean> {
    return (await this.size(digest)) !== undefined
  }

  /** Bytes, or undefined when the blob is not there. */
  async size(digest: Digest): Promise<number | undefined> {
    try {
      return (await stat(this.path(digest))).size
    } catch {
      return undefined
    }
  }

  /**
   * As `size`, at once: for work that asks for many and serves nobody meanwhile. Waking a thread takes ten times as long
   * as looking.
   */
  sizeNow(digest: Digest): number | undefined {
    return statSync(this.path(digest), { throwIfNoEntry: false })?.size
  }

  async read(digest: Digest): Promise<Buffer> {
    try {
      return await readFile(this.path(digest))
    } catch (error) {
      throw this.#missing(digest, error)
    }
  }

  /** As `read`, and sure that the bytes are the ones that the digest names. */
  async readVerified(digest: Digest): Promise<Buffer> {
    return this.#verified(digest, await this.read(digest))
  }

  /** As `readVerified`, at once; see `sizeNow`. */
  readNow(digest: Digest): Buffer {
    try {
      return this.#verified(digest, readFileSync(this.path(digest)))
    } catch (error) {
      throw this.#missing(digest, error)
    }
  }

  #verified(digest: Digest, bytes: Buffer): Buffer {
    if (digestOf(bytes) === digest) return bytes
    throw new BootloomError('BLOB_CORRUPT', `the blob ${digest} does not match its name`, { where: this.path(digest) })
  }

  async readJson<T>(digest: Digest): Promise<T> {
    return JSON.parse((await this.read(digest)).toString('utf8')) as T
  }

  /** `start` and `end` as in `fs.createReadStream`: `end` is inclusive. */
  stream(digest: Digest, range: { start?: number; end?: number } = {}): ReadStream {
    return createReadStream(this.path(digest), range)
  }

  /**
   * `after`: the blob is seen only once this has come true. What refers to other blobs is so written and synced beside
   * them, and never seen without them.
   */
  async write(bytes: Uint8Array, after?: Promise<unknown>): Promise<Digest> {
    const digest = digestOf(bytes)
    if (this.sizeNow(digest) !== undefined) {
      await after
      return digest
    }
    await this.#replace(this.path(digest), bytes, after)
    return digest
  }

  async writeJson(value: unknown): Promise<Digest> {
    return this.write(Buffer.from(canonicalJson(value)))
  }

  /** Stores a stream of unknown length without holding it in memory. */
  async writeStream(source: AsyncIterable<Uint8Array>): Promise<{ digest: Digest; size: number }> {
    const temporary = this.#temporary()
    const hash = createHash('sha256')
    let size = 0
    try {
      const file = await open(temporary, 'wx', 0o644)
      try {
        for await (const chunk of source) {
          hash.update(chunk)
          size += chunk.byteLength
          await file.appendFile(chunk)
        }
        await file.sync()
      } finally {
        await file.close()
      }
      const digest: Digest = `sha256:${hash.digest('hex')}`
      await rename(temporary, this.path(digest))
      return { digest, size }
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
  }

  async batch(): Promise<Batch> {
    const directory = this.#temporary()
    await mkdir(directory)
    return new Batch(this, directory)
  }

  /**
   * Names a manifest in `index.json`, where skopeo and oras look for it; `undefined` takes the name away. `after` as in
   * `write`.
   */
  async tag(name: string, descriptor: Descriptor | undefined, after?: Promise<unknown>): Promise<void> {
    const rest = (await this.tags()).filter((entry) => entry.annotations?.[refName] !== name)
    const manifests = descriptor
      ? [...rest, { ...descriptor, annotations: { ...descriptor.annotations, [refName]: name } }]
      : rest
    await this.#replace(join(this.directory, 'index.json'), canonicalJson({ schemaVersion: 2, manifests }), after)
  }

  async tags(): Promise<Descriptor[]> {
    const index = JSON.parse(readFileSync(join(this.directory, 'index.json'), 'utf8')) as { manifests: Descriptor[] }
    return index.manifests
  }

  /**
   * Written beside, synced and renamed: whole or not there at all. Only the sync, which waits for the disk, has a thread:
   * for the rest, waking one takes longer than the call.
   */
  async #replace(path: string, content: string | Uint8Array, after?: Promise<unknown>): Promise<void> {
    const temporary = this.#temporary()
    try {
      const file = openSync(temporary, 'wx', 0o644)
      try {
        writeFileSync(file, content)
        await sync(file)
      } finally {
        closeSync(file)
      }
      await after
      renameSync(temporary, path)
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
  }

  #temporary(): string {
    return join(this.directory, 'incoming', `${process.pid}-${randomUUID()}`)
  }

  /** What processes that are gone had begun to write. */
  async #removeAbandoned(): Promise<void> {
    const incoming = join(this.directory, 'incoming')
    for (const name of await readdir(incoming)) {
      if (!isAlive(Number(name.split('-')[0]))) await rm(join(incoming, name), { recursive: true, force: true })
    }
  }

  #missing(digest: Digest, error: unknown): unknown {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return error
    return new BootloomError('BLOB_MISSING', `the store has no blob ${digest}`, { where: this.directory })
  }
}

const sync = promisify(fsync)

const refName = 'org.opencontainers.image.ref.name'
