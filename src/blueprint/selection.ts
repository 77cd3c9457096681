import type { ComponentRef, Entry } from '../repository/component.ts'
import type { Digest } from '../store/digest.ts'
import type { Pages } from './pages.ts'

/** Why a file is in the bundle. `by` names the run, the rule, the file or the blueprint line that asked for it. */
export interface Reason {
  readonly kind: 'observed' | 'closure' | 'rule' | 'keep' | 'tree' | 'file' | 'widened'
  readonly by: string
  /** The path that this one follows from: what needs it, or what the rule met. It may be one that the stack lacks. */
  readonly from?: string
}

/** A path that a bundle was found to lack, and so is kept from then on. */
export interface Widened {
  readonly path: string
  /** Of a file that is kept by page: these as well; without them, all of it. */
  readonly pages?: Pages | undefined
  /** What found it: `replay`, or the node that missed it. */
  readonly by: string
  /** Milliseconds since 1970. */
  readonly at: number
}

export interface SelectedFile extends Entry {
  readonly reason: Reason
  /** Those that are kept, where not all of the file is. */
  readonly pages?: Pages
}

/** One component's part of a selection: what becomes one segment. */
export interface SelectedPart {
  readonly component: ComponentRef
  readonly mtime: number
  /** Sorted by path, byte order; parents stand before their children. */
  readonly files: readonly SelectedFile[]
}

export interface Selection {
  readonly blueprint: string
  readonly stack: Digest
  readonly profile: Digest
  /** In the stack's order; components of which nothing is kept are absent. */
  readonly parts: readonly SelectedPart[]
}
