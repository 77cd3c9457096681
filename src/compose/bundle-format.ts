import type { Digest } from '../store/digest.ts'
import type { Descriptor } from '../store/store.ts'

export type { BundleSummary } from '../state/bundles.ts'

/** Media types of a bundle, an OCI image manifest with an artifactType of its own (OCI image spec 1.1). */
export const mediaTypes = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  bundle: 'application/vnd.bootloom.bundle.v1',
  config: 'application/vnd.bootloom.bundle.config.v1+json',
  kernel: 'application/vnd.bootloom.kernel.v1',
  segment: 'application/vnd.bootloom.segment.v1.cpio+zstd',
  /** An initial ramdisk of a foreign bundle, as it was fetched. */
  initrd: 'application/vnd.bootloom.initrd.v1',
  /** One to three zero bytes, so that the initrd behind begins at a multiple of 4 (Linux, early-userspace/buffer-format). */
  padding: 'application/vnd.bootloom.padding.v1',
} as const

export type Level = 'fast' | 'thorough'

export interface BundleManifest {
  readonly schemaVersion: 2
  readonly mediaType: typeof mediaTypes.manifest
  readonly artifactType: typeof mediaTypes.bundle
  readonly config: Descriptor
  /** The kernel, then the segments in the order in which the kernel unpacks them. */
  readonly layers: readonly Descriptor[]
}

/** The config blob: all that is needed to boot and to explain the bundle, and nothing that differs between two runs. */
export interface BundleConfig {
  readonly blueprint: string
  readonly level: Level
  readonly cmdline: string
  /** What every byte follows from. */
  readonly inputs: {
    readonly blueprint: Digest
    readonly stack: Digest
    readonly profile: Digest
    readonly selection: Digest
  }
  /** Paths in the node's root once all segments are unpacked, directories and what is below /dev not counted. */
  readonly fileCount: number
  readonly kernel: {
    readonly release: string
    readonly version: string
    /** Whether a running node enters it without its firmware, where the blueprint says so. */
    readonly kexec?: boolean
    /** Of a kernel that was built for the blueprint: what it was configured with. */
    readonly fragments?: readonly string[]
    /** Modules that are there for the nodes' devices alone, by name. */
    readonly drivers?: readonly string[]
  }
  /** Same order as the manifest's segment layers. */
  readonly segments: readonly SegmentSummary[]
  /** What a golden image would have shipped: paths, and bytes before compression. */
  readonly fullStack: { readonly files: number; readonly bytes: number }
  /** What a running node may miss (compose/absent.ts), and what is done then; not there when nothing is left out. */
  readonly misses?: { readonly onMiss: 'deny' | 'fetch'; readonly absent: Digest }
  /**
   * Where the packages are one image: the plans that it was woven from, as JSON, and how many paths it has, which
   * `fileCount` counts as one.
   */
  readonly root?: { readonly format: 'squashfs'; readonly contents: Digest; readonly files: number }
  /** Of a full stack that a node learns from: the paths that it may tell of (compose/learn.ts). */
  readonly learns?: Digest
}

export interface SegmentSummary {
  readonly name: string
  readonly version: string
  /** `base`, `drivers`, `application` (how it is started), `image` (the packages together), or the component's kind. */
  readonly kind: string
  readonly files: number
  /** Bytes of the cpio before compression. */
  readonly raw: number
  readonly size: number
  readonly digest: Digest
}

/** The config blob of a bundle whose kernel and initrds somebody else made: it has no end marker and takes no overlay. */
export interface ForeignConfig {
  readonly blueprint: string
  readonly level: 'foreign'
  /** With places in double braces, filled in for each boot. */
  readonly cmdline: string
  readonly inputs: { readonly blueprint: Digest }
  /** The kernel first; where each came from. */
  readonly files: readonly { readonly from: string; readonly digest: Digest; readonly size: number }[]
}
