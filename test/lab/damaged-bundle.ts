import type { BundleManifest } from '../../src/compose/bundle-format.ts'
import type { Digest } from '../../src/store/digest.ts'
import { Store } from '../../src/store/store.ts'

/**
 * A bundle like the one given, whose largest component is damaged but named by what it then is: the store and the HTTP
 * server find nothing wrong with it, so the node meets it. Kernel, base and drivers, which come first, stay whole: init
 * has to run to find out.
 */
export async function damagedBundle(directory: string, bundle: Digest, kind: 'corrupt' | 'truncated'): Promise<Digest> {
  const store = await Store.open(directory)
  const manifest = await store.readJson<BundleManifest>(bundle)
  const victim = manifest.layers.slice(3).reduce((a, b) => (b.size > a.size ? b : a))
  const bytes = Buffer.from(await store.read(victim.digest))
  const half = (bytes.length >> 3) << 2
  if (kind === 'corrupt') bytes.fill(0xa5, half, half + 64)
  const damaged = kind === 'corrupt' ? bytes : bytes.subarray(0, half)
  const replaced = { ...victim, digest: await store.write(damaged), size: damaged.length }
  return store.writeJson({
    ...manifest,
    layers: manifest.layers.map((layer) => (layer === victim ? replaced : layer)),
  })
}
