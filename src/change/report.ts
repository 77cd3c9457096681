import type { ChosenFragment } from '../blueprint/kernel-choice.ts'
import type { SegmentSummary } from '../compose/bundle-format.ts'
import type { ComposedRoot } from '../compose/composed-root.ts'
import type { Verdict } from '../state/replays.ts'
import type { Digest } from '../store/digest.ts'

/** What `compose` tells of a bundle. Bytes and seconds. */
export interface ComposeReport {
  readonly digest: Digest
  readonly blueprint: string
  readonly level: 'fast' | 'thorough' | 'foreign'
  readonly rows: readonly (SegmentSummary & { readonly reused: boolean })[]
  readonly totals: { readonly files: number; readonly raw: number; readonly size: number; readonly kernel: number }
  /** What a golden image would have shipped. */
  readonly fullStack: { readonly files: number; readonly bytes: number }
  /** Devices of its nodes that go without a driver or firmware; absent of a foreign bundle. */
  readonly warnings?: readonly string[]
  /** How the packages stand on a node; absent of a foreign bundle. */
  readonly root?: ComposedRoot
  /** Of a kernel that was built for the blueprint. */
  readonly kernel?: LeanReport
  readonly reused: number
  readonly woven: readonly string[]
  readonly seconds: number
  /** How it was replayed before it was published; absent when it was not. */
  readonly replay?: {
    readonly verdict: Verdict
    /** More than one when it was widened on the way. */
    readonly rounds: readonly { readonly bundle: Digest; readonly verdict: Verdict }[]
  }
}

/** What a lean kernel was built for. */
export interface LeanReport {
  readonly release: string
  readonly chosen: readonly ChosenFragment[]
  /** Network cards stated that it has no driver for. */
  readonly unserved: readonly string[]
}

/** What `observe` tells of a run. */
export interface ObserveReport {
  readonly blueprint: string
  readonly profile: Digest
  readonly stack: Digest
  readonly methods: readonly string[]
  /** Touched by this run and those before it. */
  readonly paths: number
  /** What this run added to those before it; null when there was none. */
  readonly added: readonly string[] | null
  readonly seconds: number
}

/** A component whose version moved. */
interface VersionChange {
  readonly name: string
  readonly from: string | null
  readonly to: string | null
}

/** What `repo update` tells of one blueprint. */
export interface UpdateReport {
  readonly blueprint: string
  readonly stack: Digest
  readonly changed: readonly VersionChange[]
  /**
   * `woven`: a selected file differs, the bundle is new. `unaffected`: none does. `not-woven`: there was no bundle.
   * `held`, `waiting`: a new bundle is not promoted, or not yet.
   */
  readonly verdict: 'unchanged' | 'unaffected' | 'woven' | 'not-woven' | 'held' | 'waiting'
  /** Why it is so, where there is more to say. */
  readonly why?: string
  /** The change that it was part of. */
  readonly change?: string
  readonly bundle?: Digest
  readonly seconds: number
}

export interface ListedFile {
  readonly path: string
  readonly type: string
  readonly size: number
  readonly component: string
  readonly reason: { readonly kind: string; readonly by: string }
}

export interface LeftOut {
  readonly component: string
  readonly version: string
  readonly files: number
  readonly bytes: number
}
