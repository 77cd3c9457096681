import type { Digest } from '../store/digest.ts'

/** How a path was touched while the application was watched. `kernel`: opened by the kernel itself (ld.so, #!). */
export type Touch = (typeof touches)[number]

export const touches = ['open', 'exec', 'stat', 'readdir', 'symlink', 'create', 'kernel'] as const

/** How paths were found; `node`: by a node under real traffic. */
const methods = ['strace', 'fanotify', 'strictatime', 'node'] as const

/**
 * What one observation found. Holds nothing that differs between two runs that touched the same paths in the same ways,
 * so equal observations are one blob; counts and times stay in the observation's record.
 */
export interface Profile {
  readonly blueprint: string
  /** Which stack was watched. */
  readonly stack: Digest
  readonly methods: readonly (typeof methods)[number][]
  /** Sorted by path. Only paths that existed in the stack, or were created by the application. */
  readonly paths: readonly TouchedPath[]
}

/** What two runs found together, of the later one's stack. */
export function unite(before: Profile, after: Profile): Profile {
  const paths = new Map(before.paths.map((touched) => [touched.path, touched]))
  for (const { path, how, created } of after.paths) {
    const known = paths.get(path)
    const all = new Set([...(known?.how ?? []), ...how])
    // What a newer version ships is no longer created, and the other way around.
    paths.set(path, { path, how: touches.filter((touch) => all.has(touch)), ...(created ? { created } : {}) })
  }
  return {
    ...after,
    methods: methods.filter((method) => before.methods.includes(method) || after.methods.includes(method)),
    paths: [...paths.values()].sort((a, b) => (a.path < b.path ? -1 : 1)),
  }
}

export interface TouchedPath {
  /** As in the application's root, symlinked directories resolved, so that it names an entry of a component. */
  readonly path: string
  readonly how: readonly Touch[]
  /** Created by the application: it was in no component. */
  readonly created?: true
}
