import type { Pin } from '../../state/pins.ts'
import type { Digest } from '../../store/digest.ts'

/** What is asked: nothing named is all that the sources offer. */
export interface ImpactQuestion {
  /** NAME (its newest version) or NAME=VERSION. */
  readonly package?: string | undefined
  readonly cve?: string | undefined
  /** A path on the node. */
  readonly file?: string | undefined
  /** Of a file's content or of a component; its first digits are enough. */
  readonly digest?: string | undefined
}

export type Verdict =
  | 'affected'
  | 'not affected: no selected file differs'
  | 'not affected: not in the bundle'
  | 'not affected: this version does not have the flaw'

/** What would stand at a path, before and after: kind, mode, owner, and content or target; null where nothing does. */
export interface FileChange {
  readonly path: string
  readonly from: string | null
  readonly to: string | null
  /** The file of the bundle that is made of it, where it is not kept itself. */
  readonly makes?: string
}

/** A version that could be taken, or that was asked after. */
export interface Offered {
  readonly kind: string
  readonly name: string
  readonly version: string
  readonly component: Digest | null
  /** The suites that have it; empty where it was found in the store. */
  readonly suites: readonly string[]
  /** CVEs that it has a fix of and some version in use has not, where there is security data. */
  readonly fixes: readonly string[]
}

/** One component of one selection in use, and why it is affected or not. */
export interface ImpactRow {
  readonly blueprint: string
  readonly selection: Digest
  readonly bundles: readonly Digest[]
  readonly channels: readonly string[]
  /** How many run one of the bundles now; `bundles` of the report names them. */
  readonly nodes: number
  /** Null where a file was asked after that it has from nowhere. */
  readonly component: { readonly kind: string; readonly name: string } | null
  /** What the stack has; null where it has none. */
  readonly from: { readonly version: string; readonly component: Digest } | null
  /** What it is compared with; null where there is nothing to compare with. */
  readonly to: { readonly version: string; readonly component: Digest | null } | null
  /** Files of it in the bundle. */
  readonly kept: number
  /** Those of them that differ, or that were asked after. */
  readonly files: readonly FileChange[]
  readonly verdict: Verdict
  readonly pin?: Pin
}

/** A bundle that a channel points to or that a node runs. */
export interface BundleInUse {
  readonly digest: Digest
  readonly blueprint: string
  readonly channels: readonly string[]
  /** MACs, sorted. */
  readonly nodes: readonly string[]
}

export interface ImpactReport {
  readonly question: ImpactQuestion
  /** Milliseconds since 1970. */
  readonly at: number
  readonly offered: readonly Offered[]
  readonly rows: readonly ImpactRow[]
  readonly bundles: readonly BundleInUse[]
  /** Bundles in use whose parts the store lacks, so that nothing can be said of them. */
  readonly unread: readonly Digest[]
}
