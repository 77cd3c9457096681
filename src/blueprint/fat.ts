import type { Component } from '../repository/component.ts'
import type { Store } from '../store/store.ts'
import { needsReader } from './closure/needs.ts'
import { layersOf } from './layers.ts'
import { countPages, type Pages, type PagesRead, pageSize } from './pages.ts'
import type { Rule } from './rules.ts'
import type { Reason, SelectedFile, SelectedPart, Selection } from './selection.ts'
import { type Why, type Witness, whyOf } from './why.ts'

/** Bytes from which on something is large. */
const large = 1 << 20
/** Files of which a larger part was read are not told. */
const mostRead = 0.5
const mostNeeders = 10

/** A large file of which little was read. */
export interface FatFile {
  readonly path: string
  readonly component: string
  readonly version: string
  readonly size: number
  /** Bytes of the pages that were read, in whichever way; exact, for nothing is read ahead. */
  readonly read: number
  readonly pages: Pages
  /** Bytes that a bundle carries of it, where it carries only pages. */
  readonly kept?: number
  /** Programs and libraries of the bundle that cannot be loaded without it; ten at most. */
  readonly neededBy: readonly string[]
  /** From one of those to what no other needs, which is started or loaded by name: each is needed by the next. */
  readonly loadedThrough: readonly string[]
  /** As in `blueprint why`. */
  readonly chain: Why['chain']
}

/** Files of one component, kept for one reason, none of which was touched. */
interface FatGroup {
  readonly component: string
  readonly version: string
  readonly kind: Reason['kind']
  readonly by: string
  readonly files: number
  readonly size: number
}

export interface Fat {
  /** Bytes of all that is kept. */
  readonly size: number
  /** Those of which most bytes were not read come first. */
  readonly files: readonly FatFile[]
  readonly groups: readonly FatGroup[]
}

interface FatInput {
  readonly selection: Selection
  /** Those of the stack, in its order. */
  readonly components: readonly Component[]
  readonly witness: Witness
  readonly pages: Readonly<Record<string, PagesRead>>
  readonly rules: readonly Rule[]
  readonly store: Store
}

/** What a bundle keeps that is large and was hardly touched, or not at all, while the application was watched. */
export async function fatOf(input: FatInput): Promise<Fat> {
  const { selection, witness, pages, rules } = input
  const files: FatFile[] = []
  for (const { component, files: kept } of selection.parts) {
    for (const file of kept) {
      const known = pages[file.path]
      if (file.size < large || file.type !== 'file' || known === undefined || known.digest !== file.digest) continue
      const read = bytesOf(known.pages, file)
      if (read > file.size * mostRead) continue
      const { chain } = whyOf(file.path, selection, witness, rules)
      const { path, size } = file
      const { name, version } = component
      const isKept = file.pages === undefined ? {} : { kept: bytesOf(file.pages, file) }
      files.push({
        path,
        component: name,
        version,
        size,
        read,
        pages: known.pages,
        ...isKept,
        neededBy: [],
        loadedThrough: [],
        chain,
      })
    }
  }
  const needers = files.length === 0 ? new Map<string, string[]>() : await needersOf(input)
  return {
    size: selection.parts.flatMap((part) => part.files).reduce((sum, file) => sum + keptBytes(file), 0),
    files: files
      .map((file) => ({
        ...file,
        neededBy: (needers.get(file.path) ?? []).slice(0, mostNeeders),
        loadedThrough: loadedThrough(file.path, needers),
      }))
      .sort((a, b) => b.size - b.read - (a.size - a.read) || (a.path < b.path ? -1 : 1)),
    groups: groupsOf(input),
  }
}

const bytesOf = (pages: Pages, { size }: { readonly size: number }): number =>
  Math.min(size, countPages(pages) * pageSize)

const keptBytes = (file: SelectedFile): number => (file.pages === undefined ? file.size : bytesOf(file.pages, file))

/** By path, who of the selected files has it in its list of libraries (DT_NEEDED), or as its loader. */
async function needersOf({ selection, components, store }: FatInput): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>()
  const layers = layersOf(components)
  const needsOf = await needsReader(layers, store)
  for (const { path } of selection.parts.flatMap(({ files }) => files)) {
    const standing = layers.at.get(path)
    if (standing?.entry.type !== 'file') continue
    const needs = (await needsOf(path, standing)).filter(({ by }) => /^(library|loader) of /.test(by))
    for (const real of new Set(needs.map((need) => layers.world.resolve(need.path, true).path))) {
      found.set(real, [...(found.get(real) ?? []), path])
    }
  }
  return found
}

/** The shortest way; breadth first, so libraries that need each other end too. */
function loadedThrough(path: string, needers: ReadonlyMap<string, readonly string[]>): string[] {
  const ways: string[][] = [[path]]
  const seen = new Set([path])
  for (const way of ways) {
    const above = needers.get(way.at(-1)!) ?? []
    if (above.length === 0) return way.slice(1)
    for (const next of above) {
      if (seen.has(next)) continue
      seen.add(next)
      ways.push([...way, next])
    }
  }
  return []
}

/** What nothing touched, by component and by what pulls it; directories and links weigh nothing. */
function groupsOf({ selection, witness, pages }: FatInput): FatGroup[] {
  const touched = new Set(witness.profile.paths.map(({ path }) => path))
  const told = (file: SelectedFile) => file.size >= large && pages[file.path]?.digest === file.digest
  return selection.parts
    .flatMap((part) => groupsOfPart(part, (file) => !touched.has(file.path) && !told(file)))
    .filter(({ size }) => size >= large)
    .sort((a, b) => b.size - a.size)
}

function groupsOfPart({ component, files }: SelectedPart, isTold: (file: SelectedFile) => boolean): FatGroup[] {
  const groups = new Map<string, FatGroup>()
  for (const file of files) {
    const { kind, by } = file.reason
    if (kind === 'observed' || file.type !== 'file' || !isTold(file)) continue
    // Each file of a closure has a reason of its own: together they are what others cannot do without.
    const shown = kind === 'closure' ? 'needed by what is kept' : by
    const key = `${kind} ${shown}`
    const before = groups.get(key)
    groups.set(key, {
      ...{ component: component.name, version: component.version, kind, by: shown },
      files: (before?.files ?? 0) + 1,
      size: (before?.size ?? 0) + file.size,
    })
  }
  return [...groups.values()]
}
