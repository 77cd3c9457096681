import type { Component, Entry } from '../repository/component.ts'
import { pagedGlobs } from './kept-pages.ts'
import { layersOf } from './layers.ts'
import type { Blueprint } from './schema.ts'

/** Bytes from which on it is worth knowing how much of a file is used. */
const large = 1 << 20

/**
 * The files of a stack that are watched page by page: large ones where programs and libraries stand, and those that the
 * blueprint keeps by page. Not what the blueprint brings itself, nor state: an application writes to that.
 */
export function largeFiles(
  { granularity, files }: Pick<Blueprint, 'granularity' | 'files'>,
  components: readonly Component[],
): Entry[] {
  const globs = pagedGlobs(granularity)
  const own = new Set(files.map(({ path }) => path))
  return [...layersOf(components).at.values()]
    .filter(({ layer, entry: { type, digest, size, path } }) => {
      if (type !== 'file' || !digest || components[layer]!.kind === 'tree' || own.has(path)) return false
      if (globs.some((glob) => glob.matches(path))) return size > 0
      return size >= large && /^\/(usr|opt|lib)\//.test(path)
    })
    .map(({ entry }) => entry)
}
