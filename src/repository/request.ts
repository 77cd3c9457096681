import type { Digest } from '../store/digest.ts'

/** Packages of a Debian suite, as a blueprint asks for them. */
export interface DebRequest {
  readonly suite: string
  readonly updates: boolean
  readonly security: boolean
  /** NAME or NAME=VERSION. */
  readonly packages: readonly string[]
}

/** A directory on the server, as a blueprint asks for it. */
export interface TreeRequest {
  /** Absolute path on the server. */
  readonly path: string
  /** Where it stands on the node. */
  readonly at: string
  /** UID:GID in numbers. */
  readonly owner: string
}

export type SourceRequest = { readonly deb: DebRequest } | { readonly tree: TreeRequest }

/** A package that stays on a version, should the stack have it at all. */
export interface PinnedPackage {
  readonly name: string
  readonly version: string
}

/** Debian's kernel for clouds, its kernel for all hardware, or one that is built for the blueprint (kernel/build.ts). */
export type Flavour = 'cloud' | 'generic' | 'lean'

/** What a stack is made from. A blueprint, its tree paths made absolute, fits as it is. */
export interface StackRequest {
  readonly stack: readonly SourceRequest[]
  readonly kernel: { readonly flavour: Flavour; readonly repack?: boolean | undefined }
  readonly pins?: readonly PinnedPackage[]
  /** The stack that stood before: what changed against it is reported. */
  readonly previous?: Digest | undefined
}
