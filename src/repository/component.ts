import type { Digest } from '../store/digest.ts'

/**
 * One path of a component. Paths are absolute, normalised, without a trailing slash; mode is the low 12 bits. They are
 * the canonical paths of the installed root, with Debian's symlinked directories resolved: what dash ships as /bin/sh is
 * recorded as /usr/bin/sh, and a kernel's modules stand below /usr/lib/modules. The links themselves (/bin → usr/bin)
 * belong to the `configuration`.
 */
export interface Entry {
  readonly path: string
  readonly type: 'file' | 'dir' | 'symlink' | 'hardlink' | 'char' | 'block' | 'fifo'
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Bytes of content; 0 for everything but files. */
  readonly size: number
  /** Of the content; files only. */
  readonly digest?: Digest
  /** Of a symlink, verbatim; of a hardlink, the absolute path of the file it shares. */
  readonly target?: string
  /** Major and minor number of a device. */
  readonly device?: readonly [number, number]
  readonly conffile?: true
}

/**
 * Bytes. The kernel takes paths of 4,095, and a path of a component is also used below the directory that its stack is
 * installed or watched in.
 */
export const longestPath = 3900

export type ComponentKind = 'deb' | 'tree' | 'kernel' | 'configuration'

/** An immutable, versioned set of files from one source. The blob of this JSON is the component's name. */
export interface Component {
  readonly kind: ComponentKind
  /** Package name, tree name, kernel release, or `configuration`. */
  readonly name: string
  readonly version: string
  readonly architecture: string
  /** Debian source package and its version, where they differ from name and version (deb only). */
  readonly sourcePackage?: { readonly name: string; readonly version: string }
  /** Seconds since 1970, given to every file of the component: same component, same bytes. */
  readonly mtime: number
  /** Sorted by path, byte order. */
  readonly entries: readonly Entry[]
}

/** A component as a stack refers to it. */
export interface ComponentRef {
  readonly kind: ComponentKind
  readonly name: string
  readonly version: string
  readonly digest: Digest
}
