import type { ComponentRef, Entry } from '../repository/component.ts'
import type { Digest } from '../store/digest.ts'

/** Why a file is in the bundle. `by` names the run, the rule, the file or the blueprint line that asked for it. */
export interface Reason {
  readonly kind: 'observed' | 'closure' | 'rule' | 'keep' | 'tree' | 'file'
  readonly by: string
}

export interface SelectedFile extends Entry {
  readonly reason: Reason
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
