import type { BundleConfig, BundleManifest } from '../../compose/bundle-format.ts'
import type { Digest } from '../../store/digest.ts'
import type { Context } from '../context.ts'

/** What every byte of a bundle follows from. */
export async function inputsOf(bundle: Digest, { store }: Context): Promise<BundleConfig['inputs']> {
  const manifest = await store.readJson<BundleManifest>(bundle)
  return (await store.readJson<BundleConfig>(manifest.config.digest)).inputs
}
