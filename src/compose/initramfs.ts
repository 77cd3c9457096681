import type { Descriptor } from '../store/store.ts'
import { type BundleManifest, mediaTypes } from './bundle-format.ts'

export interface InitramfsPart {
  readonly descriptor: Descriptor
  /** Where it begins in the initramfs, in bytes; a multiple of 4. */
  readonly offset: number
}

const unpacked = new Set<string>([mediaTypes.segment, mediaTypes.initrd, mediaTypes.padding])

/** A bundle's initramfs as the concatenation of its segments, in the order in which the kernel unpacks them. */
export function initramfsParts(manifest: BundleManifest): { readonly parts: InitramfsPart[]; readonly size: number } {
  const parts: InitramfsPart[] = []
  let size = 0
  for (const descriptor of manifest.layers) {
    if (!unpacked.has(descriptor.mediaType)) continue
    parts.push({ descriptor, offset: size })
    size += descriptor.size
  }
  return { parts, size }
}
