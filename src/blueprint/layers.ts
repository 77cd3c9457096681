import type { Component, Entry } from '../repository/component.ts'
import type { Glob } from './glob.ts'
import { World } from './world.ts'

/** The one entry that stands at a path, and which component (by its place in the stack) it comes from. */
export interface Standing {
  readonly entry: Entry
  readonly layer: number
}

/** Directories not counted; bytes before compression. */
export interface Size {
  readonly files: number
  readonly bytes: number
}

/** What a stack's components make up together, later ones covering earlier ones. */
export interface Layers {
  /** Under the path that an entry really has: symlinked directories resolved. */
  readonly at: ReadonlyMap<string, Standing>
  /** The paths of `at`, sorted. */
  readonly paths: readonly string[]
  readonly world: World
  /** What a golden image would have shipped. */
  readonly size: Size
}

/** The newest answer: one bundle asks several times about the same stack. */
let newest: { readonly components: readonly Component[]; readonly layers: Layers } | undefined

export function layersOf(components: readonly Component[]): Layers {
  const known = newest
  if (known?.components.length === components.length && known.components.every((one, i) => one === components[i])) {
    return known.layers
  }
  newest = { components, layers: lay(components) }
  return newest.layers
}

function lay(components: readonly Component[]): Layers {
  const last = new Map<string, Entry>()
  for (const { entries } of components) for (const entry of entries) last.set(entry.path, entry)
  const links = new Map<string, string>()
  for (const { type, path, target } of last.values()) if (type === 'symlink') links.set(path, target ?? '')
  // Packages may say /lib/x where the stack has made /lib a link to usr/lib.
  const naming = new World([], links)
  const at = new Map<string, Standing>()
  for (const [layer, { entries }] of components.entries()) {
    for (const entry of entries) {
      const { path } = naming.resolve(entry.path, false)
      at.set(path, { entry: path === entry.path ? entry : { ...entry, path }, layer })
    }
  }
  const reallyLinks = new Map<string, string>()
  let files = 0
  let bytes = 0
  for (const { entry } of at.values()) {
    if (entry.type === 'symlink') reallyLinks.set(entry.path, entry.target ?? '')
    if (entry.type !== 'dir') files++
    bytes += entry.size
  }
  return { at, paths: [...at.keys()].sort(), world: new World(at.keys(), reallyLinks), size: { files, bytes } }
}

/** The paths of a stack that match a glob, sorted. */
export function matching({ prefix, matches, literal }: Omit<Glob, 'text'>, { at, paths }: Layers): string[] {
  if (literal !== undefined) return at.has(literal) ? [literal] : []
  let low = 0
  let high = paths.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (paths[middle]! < prefix) low = middle + 1
    else high = middle
  }
  const found: string[] = []
  for (; low < paths.length && paths[low]!.startsWith(prefix); low++) if (matches(paths[low]!)) found.push(paths[low]!)
  return found
}
