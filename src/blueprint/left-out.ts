import type { Component, ComponentKind } from '../repository/component.ts'
import { layersOf } from './layers.ts'
import type { Selection } from './selection.ts'

/** Directories not counted; bytes before compression. */
export interface Size {
  readonly files: number
  readonly bytes: number
}

export interface LeftOut extends Size {
  readonly kind: ComponentKind
  readonly name: string
  readonly version: string
  /** Sorted. */
  readonly paths: readonly string[]
}

/** What a selection leaves out of each component, the largest first; what another component covers is not counted. */
export function whatIsLeftOut(selection: Selection, components: readonly Component[]): LeftOut[] {
  const kept = new Set(selection.parts.flatMap(({ files }) => files.map(({ path }) => path)))
  const left = components.map(() => ({ bytes: 0, paths: [] as string[] }))
  for (const [path, { entry, layer }] of layersOf(components).at) {
    if (entry.type === 'dir' || kept.has(path)) continue
    left[layer]!.bytes += entry.size
    left[layer]!.paths.push(path)
  }
  return components
    .map(({ kind, name, version }, layer) => {
      const { bytes, paths } = left[layer]!
      return { kind, name, version, files: paths.length, bytes, paths: paths.sort() }
    })
    .filter(({ files }) => files > 0)
    .sort((a, b) => b.bytes - a.bytes || (a.name < b.name ? -1 : 1))
}

/** What a golden image would have shipped. */
export function fullStackSize(components: readonly Component[]): Size {
  let files = 0
  let bytes = 0
  for (const { entry } of layersOf(components).at.values()) {
    if (entry.type !== 'dir') files++
    bytes += entry.size
  }
  return { files, bytes }
}
