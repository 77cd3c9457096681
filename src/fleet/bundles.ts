import { type BundleConfig, type BundleManifest, type ForeignConfig, mediaTypes } from '../compose/bundle-format.ts'
import { initramfsParts } from '../compose/initramfs.ts'
import { BootloomError } from '../config/errors.ts'
import type { Digest } from '../store/digest.ts'
import type { Descriptor, Store } from '../store/store.ts'

/** A blob in its place: `start` is the offset of its first byte in the whole. */
export interface Part {
  readonly digest: Digest
  readonly size: number
  readonly start: number
}

/** Blobs that are served as one body. */
export interface Body {
  readonly parts: readonly Part[]
  readonly size: number
}

export interface ServedBundle {
  readonly digest: Digest
  readonly config: BundleConfig | ForeignConfig
  readonly kernel: Body
  /** Of 0 bytes where a foreign bundle has no initrd. */
  readonly initramfs: Body
}

const maxOpen = 200

/** Bundles opened for serving; a bundle never changes, so each is read and checked once. */
export class Bundles {
  readonly #store: Store
  readonly #open = new Map<Digest, Promise<ServedBundle>>()

  constructor(store: Store) {
    this.#store = store
  }

  /** BUNDLE_UNKNOWN when there is none, BUNDLE_BROKEN when a part of it is missing, empty or not of its size. */
  get(digest: Digest): Promise<ServedBundle> {
    const known = this.#open.get(digest)
    if (known) return known
    const bundle = this.#read(digest)
    this.#open.set(digest, bundle)
    bundle.catch(() => this.#open.delete(digest))
    if (this.#open.size > maxOpen) this.#open.delete(this.#open.keys().next().value!)
    return bundle
  }

  async #read(digest: Digest): Promise<ServedBundle> {
    const size = await this.#store.size(digest)
    // Anything in the store can be asked for here; a manifest is small.
    if (size === undefined || size > 4 * 1024 * 1024) throw unknown(digest)
    const manifest = manifestOf(digest, await this.#store.readVerified(digest))
    const config = JSON.parse((await this.#store.readVerified(manifest.config.digest)).toString()) as
      | BundleConfig
      | ForeignConfig
    const kernel = manifest.layers.find(({ mediaType }) => mediaType === mediaTypes.kernel)
    const { parts, size: initramfsSize } = initramfsParts(manifest)
    // A 0-byte initrd hangs a BIOS boot without a word (seen with iPXE).
    const bare = parts.length === 0 && config.level !== 'foreign'
    if (!kernel || bare) throw broken(digest, kernel ? 'it has no segments' : 'it has no kernel')
    await this.#check(digest, manifest.layers)
    const segments = parts.map(({ descriptor, offset }) => partOf(descriptor, offset))
    return {
      digest,
      config,
      kernel: { parts: [partOf(kernel, 0)], size: kernel.size },
      initramfs: { parts: segments, size: initramfsSize },
    }
  }

  async #check(digest: Digest, layers: readonly Descriptor[]): Promise<void> {
    const sizes = await Promise.all(layers.map((layer) => this.#store.size(layer.digest)))
    for (const [i, { digest: part, size }] of layers.entries()) {
      if (sizes[i] === undefined) throw broken(digest, `${part} is missing`)
      if (sizes[i] !== size || size === 0) throw broken(digest, `${part} has ${sizes[i]} of ${size} bytes`)
    }
  }
}

const partOf = ({ digest, size }: Descriptor, start: number): Part => ({ digest, size, start })

function manifestOf(digest: Digest, bytes: Buffer): BundleManifest {
  try {
    const manifest = JSON.parse(bytes.toString()) as BundleManifest
    if (manifest.artifactType === mediaTypes.bundle && Array.isArray(manifest.layers)) return manifest
  } catch (error) {
    throw unknown(digest, error)
  }
  throw unknown(digest)
}

const unknown = (digest: string, cause?: unknown) =>
  new BootloomError('BUNDLE_UNKNOWN', `the store holds no bundle ${digest}`, { where: digest, cause })

const broken = (digest: string, why: string) =>
  new BootloomError('BUNDLE_BROKEN', `the bundle cannot be served: ${why}`, { where: digest })
