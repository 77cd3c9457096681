import type { Digest } from '../../store/digest.ts'

/** Bytes of a part of something. */
export interface Part {
  readonly name: string
  readonly bytes: number
  /** `measured` on the node; `counted` from the bundle. */
  readonly how: 'measured' | 'counted'
}

/** What an option would make of a bundle: bytes less, or more where they are below zero. */
export interface Saving {
  readonly option: string
  readonly wire: number
  readonly memory: number
  /** What this estimate is made from. */
  readonly from: string
}

/** Where every byte of a bundle goes: on the wire, and in the memory of a node that runs it. */
export interface Weight {
  readonly bundle: Digest
  readonly blueprint: string
  readonly level: string
  readonly root: 'files' | 'squashfs'
  /** Of the node that it was measured on. */
  readonly ram: number
  /** Kernel, segments, overlay and end marker, in the order in which they are sent. */
  readonly wire: readonly Part[]
  /** Parts of the RAM; together they are all of it. */
  readonly memory: readonly Part[]
  /** What stands in the node's root: whole pages, segment by segment. */
  readonly files: readonly Part[]
  /** Of each process, what is its own. */
  readonly processes: readonly Part[]
  /** Of the kernel's slabs the largest, and its modules. */
  readonly kernel: readonly Part[]
  readonly savings: readonly Saving[]
}
