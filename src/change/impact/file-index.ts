import { randomUUID } from 'node:crypto'
import { type FileHandle, mkdir, open, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Suites } from '../../repository/pending.ts'
import type { Flavour } from '../../repository/request.ts'
import type { Digest } from '../../store/digest.ts'

/**
 * The index of what bundles keep: a file of the state directory, made from the store alone. A header says which bundles
 * it covers and where the part on each component stands, so that a question about one package reads a few kilobytes.
 */

/** What a bundle brings to a node: its selection. The same one woven at two levels is one subject. */
export interface Subject {
  readonly blueprint: string
  readonly selection: Digest
  /** Where its packages come from; undefined where the blueprint cannot be read any more. */
  readonly suites?: Suites
  readonly flavour: Flavour
  /** Globs that it keeps whatever was observed, and those that it leaves out. */
  readonly keep: readonly string[]
  readonly drop: readonly string[]
  /** Names of the rules that added something. */
  readonly rules: readonly string[]
  /** What it keeps of files that installing packages makes (made.ts). */
  readonly made: readonly string[]
}

/** One version of a component, and what the subjects keep of it. */
export interface Part {
  readonly component: Digest
  readonly version: string
  /** Of a Debian package: its source package. */
  readonly source?: { readonly name: string; readonly version: string }
  /** All that anybody keeps of it. */
  readonly paths: readonly string[]
  /** What stands at each of the paths (compare.ts). */
  readonly contents: readonly string[]
  /** Path of the component → path of the file that installing it makes of it. */
  readonly makes: Readonly<Record<string, string>>
  /** Who keeps which of the paths, by their places in the list; none where only the stack has the component. */
  readonly kept: readonly { readonly files: readonly number[]; readonly subjects: readonly number[] }[]
}

/** All versions of one component. */
export interface Chunk {
  readonly kind: string
  /** Package, tree or `configuration`; `kernel` for every kernel, whose own name is its release. */
  readonly name: string
  readonly parts: readonly Part[]
}

interface Place {
  readonly kind: string
  readonly name: string
  /** Bytes from the end of the header. */
  readonly at: number
  readonly length: number
  /** Names of source packages. */
  readonly sources: readonly string[]
  /** Every version that a stack has. */
  readonly versions: readonly string[]
  /** Whether any bundle keeps a file of it. */
  readonly kept: boolean
}

interface Header {
  readonly subjects: readonly Subject[]
  /** Bundle → its subject's place in the list; -1 for one that has no components (foreign) or cannot be read. */
  readonly bundles: Readonly<Record<Digest, number>>
  readonly places: readonly Place[]
}

/** Raised whenever the file would be read differently: an older one is made anew. */
const magic = 'bootloom impact index 1\n'
const lengthBytes = 8

export const indexPath = (stateDirectory: string): string => join(stateDirectory, 'impact', 'index')

/** An index opened for questions; it stays what it is while a newer one takes its place. */
export class ImpactIndex {
  readonly header: Header
  readonly #file: FileHandle
  readonly #start: number

  private constructor(file: FileHandle, header: Header, start: number) {
    this.#file = file
    this.header = header
    this.#start = start
  }

  /** Undefined when there is none, or one that cannot be read: it is then made anew. */
  static async open(path: string): Promise<ImpactIndex | undefined> {
    let file: FileHandle | undefined
    try {
      file = await open(path)
      const start = Buffer.alloc(magic.length + lengthBytes)
      await file.read(start, 0, start.length, 0)
      if (start.toString('latin1', 0, magic.length) !== magic) throw new Error('another format')
      const bytes = Buffer.alloc(Number.parseInt(start.toString('latin1', magic.length), 16))
      await file.read(bytes, 0, bytes.length, start.length)
      return new ImpactIndex(file, JSON.parse(bytes.toString()) as Header, start.length + bytes.length)
    } catch {
      await file?.close()
      return undefined
    }
  }

  /** All versions of the component; undefined where no stack has it. */
  async chunk(kind: string, name: string): Promise<Chunk | undefined> {
    const place = this.header.places.find((one) => one.kind === kind && one.name === name)
    return place && (JSON.parse((await this.#bytes(place)).toString()) as Chunk)
  }

  async *chunks(): AsyncGenerator<Chunk> {
    for (const place of this.header.places) yield JSON.parse((await this.#bytes(place)).toString()) as Chunk
  }

  /** Those in which a text stands at all: reading the bytes costs a hundredth of parsing them. */
  async *chunksHolding(text: string): AsyncGenerator<Chunk> {
    const needle = JSON.stringify(text).slice(1, -1)
    for (const place of this.header.places) {
      const bytes = await this.#bytes(place)
      if (bytes.includes(needle)) yield JSON.parse(bytes.toString()) as Chunk
    }
  }

  async #bytes({ at, length }: Place): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(length)
    await this.#file.read(bytes, 0, length, this.#start + at)
    return bytes
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}

/** Puts an index in the place of the one before, whole or not at all. */
export async function writeIndex(
  path: string,
  { subjects, bundles }: Pick<Header, 'subjects' | 'bundles'>,
  chunks: readonly Chunk[],
): Promise<void> {
  const bodies = chunks.map((chunk) => Buffer.from(JSON.stringify(chunk)))
  let at = 0
  const places = chunks.map(({ kind, name, parts }, index): Place => {
    const length = bodies[index]!.length
    const place = {
      kind,
      name,
      at,
      length,
      sources: [...new Set(parts.flatMap(({ source }) => (source ? [source.name] : [])))],
      versions: [...new Set(parts.map(({ version }) => version))],
      kept: parts.some(({ kept }) => kept.some(({ files }) => files.length > 0)),
    }
    at += length
    return place
  })
  const header = Buffer.from(JSON.stringify({ subjects, bundles, places } satisfies Header))
  const length = Buffer.from(header.length.toString(16).padStart(lengthBytes, '0'))
  await mkdir(dirname(path), { recursive: true })
  const temporary = `${path}.${randomUUID()}`
  try {
    await writeFile(temporary, Buffer.concat([Buffer.from(magic), length, header, ...bodies]))
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}
