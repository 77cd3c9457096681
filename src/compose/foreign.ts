import { canonicalJson, type Digest } from '../store/digest.ts'
import type { Descriptor, Store } from '../store/store.ts'
import { type BundleManifest, type ForeignConfig, mediaTypes } from './bundle-format.ts'

interface Fetched {
  readonly from: string
  readonly digest: Digest
  readonly size: number
}

interface ForeignRequest {
  readonly blueprint: string
  readonly blueprintDigest: Digest
  readonly kernel: Fetched
  readonly initrds: readonly Fetched[]
  readonly cmdline: string
}

/** Names fetched files as a bundle: the same files give the same digest. All of them are in the store already. */
export async function bundleForeign(
  request: ForeignRequest,
  store: Store,
): Promise<{ digest: Digest; manifest: BundleManifest }> {
  const { kernel, initrds } = request
  const config: ForeignConfig = {
    blueprint: request.blueprint,
    level: 'foreign',
    cmdline: request.cmdline,
    inputs: { blueprint: request.blueprintDigest },
    files: [kernel, ...initrds].map(({ from, digest, size }) => ({ from, digest, size })),
  }
  const layers: Descriptor[] = [describe(mediaTypes.kernel, kernel)]
  for (const [index, initrd] of initrds.entries()) {
    layers.push(describe(mediaTypes.initrd, initrd))
    const missing = -initrd.size & 3
    if (missing === 0 || index === initrds.length - 1) continue
    layers.push({ mediaType: mediaTypes.padding, digest: await store.write(Buffer.alloc(missing)), size: missing })
  }
  const bytes = Buffer.from(canonicalJson(config))
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    artifactType: mediaTypes.bundle,
    config: { mediaType: mediaTypes.config, digest: await store.write(bytes), size: bytes.length },
    layers,
  } as const
  const digest = await store.writeJson(manifest)
  const { mediaType, artifactType } = manifest
  const size = Buffer.byteLength(canonicalJson(manifest))
  await store.tag(`${request.blueprint}.foreign`, { mediaType, artifactType, digest, size })
  return { digest, manifest }
}

const describe = (mediaType: string, { from, digest, size }: Fetched): Descriptor => ({
  mediaType,
  digest,
  size,
  annotations: { 'org.opencontainers.image.title': from.split('/').at(-1)!.slice(0, 200) },
})
