import type { Component } from '../../repository/component.ts'
import type { Digest } from '../../store/digest.ts'
import type { Chunk, Part } from './file-index.ts'

interface Added {
  readonly kind: string
  readonly name: string
  readonly digest: Digest
  readonly component: Component
  readonly files: readonly { readonly path: string; readonly content: string; readonly makes?: string }[]
}

interface OpenPart extends Pick<Part, 'component' | 'version' | 'source'> {
  readonly paths: string[]
  readonly contents: string[]
  readonly makes: Record<string, string>
  /** Path → its place. */
  readonly places: Map<string, number>
  /** Subject → places of what it keeps. */
  readonly kept: Map<number, readonly number[]>
}

/** The parts of an index while it is made. */
export class Chunks {
  readonly #chunks = new Map<
    string,
    { readonly kind: string; readonly name: string; readonly parts: Map<Digest, OpenPart> }
  >()

  /** What a subject keeps of a component; called twice of the same one, all of it together. */
  add(subject: number, { kind, name, digest, component, files }: Added): void {
    const { parts } = this.#chunk(kind, name)
    const { version } = component
    const source = sourceOf(component)
    const part = parts.get(digest) ?? open({ component: digest, version, ...(source ? { source } : {}), makes: {} })
    parts.set(digest, part)
    const places = files.map(({ path, content, makes }) => {
      const known = part.places.get(path)
      if (makes !== undefined) part.makes[path] = makes
      if (known !== undefined) return known
      part.places.set(path, part.paths.length)
      part.contents.push(content)
      return part.paths.push(path) - 1
    })
    part.kept.set(subject, [...new Set([...(part.kept.get(subject) ?? []), ...places])])
  }

  /** What an index before said of the subjects that stay, under their new numbers. */
  takeOver({ kind, name, parts }: Chunk, numbers: ReadonlyMap<number, number>): void {
    for (const { kept, paths, contents, ...part } of parts) {
      const staying = kept.flatMap(({ files, subjects }) =>
        subjects.flatMap((old) => {
          const number = numbers.get(old)
          return number === undefined ? [] : [[number, files] as const]
        }),
      )
      if (staying.length === 0) continue
      const known = open({ ...part, makes: { ...part.makes } })
      for (const [index, path] of paths.entries()) {
        known.places.set(path, known.paths.push(path) - 1)
        known.contents.push(contents[index]!)
      }
      for (const [subject, files] of staying) known.kept.set(subject, files)
      this.#chunk(kind, name).parts.set(part.component, known)
    }
  }

  /** Sorted by kind and name. */
  all(): Chunk[] {
    return [...this.#chunks]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, { kind, name, parts }]) => ({ kind, name, parts: [...parts.values()].map(close) }))
  }

  #chunk(kind: string, name: string) {
    const key = `${kind} ${name}`
    const known = this.#chunks.get(key) ?? { kind, name, parts: new Map() }
    this.#chunks.set(key, known)
    return known
  }
}

/** Debian's signed kernels name the package that signs them as their source; flaws are told of the one signed. */
export function sourceOf({ kind, name, version, sourcePackage }: Component): Part['source'] {
  if (kind === 'kernel') return { name: 'linux', version }
  return kind === 'deb' ? (sourcePackage ?? { name, version }) : undefined
}

const open = (of: Pick<OpenPart, 'component' | 'version' | 'source' | 'makes'>): OpenPart => ({
  ...of,
  paths: [],
  contents: [],
  places: new Map(),
  kept: new Map(),
})

/** Subjects that keep the same are told once. */
function close({ kept, places: _, ...part }: OpenPart): Part {
  const groups = new Map<string, { files: readonly number[]; subjects: number[] }>()
  for (const [subject, files] of kept) {
    const sorted = files.toSorted((a, b) => a - b)
    const key = sorted.join()
    const group = groups.get(key) ?? { files: sorted, subjects: [] }
    group.subjects.push(subject)
    groups.set(key, group)
  }
  return { ...part, kept: [...groups.values()] }
}
