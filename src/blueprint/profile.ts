import type { Digest } from '../store/digest.ts'

/** How a path was touched while the application was watched. `kernel`: opened by the kernel itself (ld.so, #!). */
export type Touch = 'open' | 'exec' | 'stat' | 'readdir' | 'symlink' | 'create' | 'kernel'

/**
 * What one observation found. Holds nothing that differs between two runs that touched the same paths in the same ways,
 * so equal observations are one blob; counts and times stay in the observation's record.
 */
export interface Profile {
  readonly blueprint: string
  /** Which stack was watched. */
  readonly stack: Digest
  readonly methods: readonly ('strace' | 'strictatime')[]
  /** Sorted by path. Only paths that existed in the stack, or were created by the application. */
  readonly paths: readonly TouchedPath[]
}

export interface TouchedPath {
  /** As in the application's root, symlinked directories resolved, so that it names an entry of a component. */
  readonly path: string
  readonly how: readonly Touch[]
  /** Created by the application: it was in no component. */
  readonly created?: true
}
