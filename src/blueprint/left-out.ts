import type { Component, ComponentKind } from '../repository/component.ts'
import { layersOf, type Size } from './layers.ts'
import type { Selection } from './selection.ts'

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
