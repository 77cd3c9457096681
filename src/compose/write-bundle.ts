import { canonicalJson, type Digest, digestOf } from '../store/digest.ts'
import type { Descriptor, Store } from '../store/store.ts'
import { type BundleConfig, type BundleManifest, type Level, mediaTypes } from './bundle-format.ts'

interface Naming {
  readonly blueprint: string
  readonly level: Level
  /** Stored like any bundle, and not named. */
  readonly unlisted: boolean
  readonly store: Store
}

/**
 * Configuration, manifest, and the name BLUEPRINT.LEVEL, a tag that any registry takes. All go to the disk side by side
 * with the last segments, and each is seen only after what it refers to.
 */
export async function writeBundle(
  { blueprint, level, unlisted, store }: Naming,
  config: BundleConfig,
  image: { digest: Digest; size: number },
  segmentsStored: Promise<unknown>,
): Promise<{ manifest: BundleManifest; digest: Digest; named: Promise<unknown> }> {
  const configBytes = Buffer.from(canonicalJson(config))
  const manifest = manifestOf(config, { digest: digestOf(configBytes), size: configBytes.length }, image)
  const bytes = Buffer.from(canonicalJson(manifest))
  const configWritten = store.write(configBytes, segmentsStored)
  const written = store.write(bytes, configWritten)
  const { mediaType, artifactType } = manifest
  const descriptor = { mediaType, artifactType, digest: digestOf(bytes), size: bytes.length }
  const named = unlisted ? Promise.resolve() : store.tag(`${blueprint}.${level}`, descriptor, written)
  named.catch(() => {})
  await Promise.all([configWritten, written])
  return { manifest, digest: descriptor.digest, named }
}

function manifestOf(
  config: BundleConfig,
  written: { digest: Digest; size: number },
  image: { digest: Digest; size: number },
): BundleManifest {
  const title = (text: string) => ({ annotations: { 'org.opencontainers.image.title': text } })
  const layers: Descriptor[] = [
    {
      mediaType: mediaTypes.kernel,
      digest: image.digest,
      size: image.size,
      ...title(`vmlinuz-${config.kernel.release}`),
    },
    ...config.segments.map(({ name, digest, size }) => ({
      mediaType: mediaTypes.segment,
      digest,
      size,
      ...title(`${name}.cpio.zst`),
    })),
  ]
  return {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    artifactType: mediaTypes.bundle,
    config: { mediaType: mediaTypes.config, ...written },
    layers,
  } as const
}
