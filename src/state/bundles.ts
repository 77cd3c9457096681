import { z } from 'zod'
import type { Digest } from '../store/digest.ts'
import { keys } from './keys.ts'
import { parseRecord } from './record.ts'
import type { Redis } from './redis.ts'

const summarySchema = z.object({
  digest: z.custom<Digest>((value) => typeof value === 'string' && /^sha256:[0-9a-f]{64}$/.test(value)),
  blueprint: z.string(),
  level: z.enum(['fast', 'thorough', 'foreign']),
  files: z.number(),
  kernelBytes: z.number(),
  initramfsBytes: z.number(),
  rawBytes: z.number(),
  /** Uncompressed bytes of what a golden image would have shipped. */
  fullStackBytes: z.number(),
  /** Milliseconds since 1970; of this server, not of the bundle. */
  createdAt: z.number(),
})

/** What lists and tables show of a bundle. */
export type BundleSummary = Readonly<z.infer<typeof summarySchema>>

/** Adds a bundle to those known; one known already keeps the time at which it was first made. */
export async function putBundle(redis: Redis, summary: BundleSummary): Promise<BundleSummary> {
  const added = redis.hsetnx(keys.bundles(), summary.digest, JSON.stringify(summary))
  // Sent at once: Redis answers them in this order.
  const [, known] = await Promise.all([added, getBundle(redis, summary.digest)])
  return known ?? summary
}

export async function getBundle(redis: Redis, digest: Digest): Promise<BundleSummary | undefined> {
  const json = await redis.hget(keys.bundles(), digest)
  return json === null ? undefined : parseRecord(summarySchema, json, `${keys.bundles()} ${digest}`)
}

/** What a bundle brings to a node, whatever the level it was woven at. */
export async function recordContent(redis: Redis, bundle: Digest, content: Digest): Promise<void> {
  await redis.hset(keys.contents(), bundle, content)
}

/** Newest first. */
export async function listBundles(redis: Redis): Promise<BundleSummary[]> {
  const all = Object.entries(await redis.hgetall(keys.bundles()))
  return all
    .map(([digest, json]) => parseRecord(summarySchema, json, `${keys.bundles()} ${digest}`))
    .sort((a, b) => b.createdAt - a.createdAt || (a.digest < b.digest ? -1 : 1))
}
