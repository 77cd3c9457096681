import { join } from 'node:path'
import { type BundleConfig, type BundleManifest, mediaTypes } from '../../src/compose/bundle-format.ts'
import type { ApiClient } from '../../src/http/api-client.ts'
import { digestOf } from '../../src/store/digest.ts'
import { Store } from '../../src/store/store.ts'
import { type Place, paths } from '../place.ts'
import { randomFrom } from './plan.ts'

/** The blueprint of a bundle that no node could run, but that is served like any other. */
export const synthetic = 'storm'

/** Bytes of kernel and initramfs; an Apache bundle's by default. */
export interface Weights {
  readonly kernel: number
  readonly initramfs: number
}

export const apacheWeights: Weights = { kernel: 14_200_000, initramfs: 3_000_000 }

/** Publishes a bundle of random bytes, in as many segments as Apache's has. */
export async function publishSynthetic(place: Place, api: ApiClient, { kernel, initramfs }: Weights): Promise<void> {
  const store = await Store.open(join(paths.state(place), 'store'))
  const random = randomFrom(kernel ^ initramfs)
  const noise = (length: number) => {
    const bytes = Buffer.alloc(length)
    for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32LE(Math.floor(random() * 2 ** 32), at)
    return bytes
  }
  const put = async (mediaType: string, bytes: Buffer) => ({
    mediaType,
    digest: await store.write(bytes),
    size: bytes.length,
  })
  const segments = 20
  const segment = Math.ceil(initramfs / segments / 4) * 4
  const layers = [await put(mediaTypes.kernel, noise(kernel))]
  for (let i = 0; i < segments; i++) layers.push(await put(mediaTypes.segment, noise(segment)))
  const nothing = digestOf('')
  const config: BundleConfig = {
    blueprint: synthetic,
    level: 'fast',
    cmdline: 'console=ttyS0',
    inputs: { blueprint: nothing, stack: nothing, profile: nothing, selection: nothing },
    fileCount: 1,
    kernel: { release: 'none', version: 'none' },
    segments: [],
    fullStack: { files: 1, bytes: kernel + initramfs },
  }
  const manifest: BundleManifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    artifactType: mediaTypes.bundle,
    config: await put('application/vnd.bootloom.bundle.config.v1+json', Buffer.from(JSON.stringify(config))),
    layers,
  }
  const digest = await store.writeJson(manifest)
  await api.request('POST', `/v1/channels/${synthetic}/stable`, { digest, reason: 'a storm' })
}
