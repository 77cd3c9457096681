import { z } from 'zod'
import { type Digest, isDigest } from '../store/digest.ts'
import { keys } from './keys.ts'
import { parseRecord } from './record.ts'
import type { Redis } from './redis.ts'

/**
 * Which components are known. All of it is derived from blobs: lost, it comes back with the next `repo update`.
 */

const digest = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value))
const summarySchema = z.object({
  kind: z.enum(['deb', 'tree', 'kernel', 'configuration']),
  name: z.string(),
  version: z.string(),
  digest,
  /** Paths that are no directories. */
  files: z.int(),
  bytes: z.int(),
})

/** A component as lists show it. */
export type ComponentSummary = z.infer<typeof summarySchema>

/** How a .deb was read: as the package it is, or as a kernel (which is another component of the same .deb). */
type ReadAs = 'deb' | 'kernel'

export async function recordComponent(redis: Redis, summary: ComponentSummary): Promise<void> {
  await redis.hset(keys.components(), summary.digest, JSON.stringify(summary))
}

/** Records components read from .debs together with which .deb each came from. */
export async function recordDebComponents(
  redis: Redis,
  readAs: ReadAs,
  found: readonly { readonly deb: Digest; readonly summary: ComponentSummary }[],
): Promise<void> {
  if (found.length === 0) return
  const pipeline = redis.multi()
  for (const { deb, summary } of found) {
    pipeline.hset(keys.components(), summary.digest, JSON.stringify(summary))
    pipeline.hset(keys.componentsOfDebs(), `${readAs}:${deb}`, summary.digest)
  }
  await pipeline.exec()
}

/** The component read from each .deb, in the same order; undefined where it was never read. */
export async function componentsOfDebs(
  redis: Redis,
  readAs: ReadAs,
  debs: readonly Digest[],
): Promise<(Digest | undefined)[]> {
  if (debs.length === 0) return []
  const found = await redis.hmget(keys.componentsOfDebs(), ...debs.map((deb) => `${readAs}:${deb}`))
  return found.map((value) => (value !== null && isDigest(value) ? value : undefined))
}

/** The .debs that a package of this name and version was read from, when it ever was. */
export async function debsOfComponent(redis: Redis, name: string, version: string): Promise<Digest[]> {
  const components = new Set(
    (await componentsNamed(redis, name)).flatMap((one) => (one.version === version ? [one.digest] : [])),
  )
  if (components.size === 0) return []
  const found = Object.entries(await redis.hgetall(keys.componentsOfDebs()))
  return found.flatMap(([field, component]) => {
    const deb = field.replace(/^deb:/, '')
    return components.has(component as Digest) && isDigest(deb) ? [deb] : []
  })
}

/** Every version known of a Debian package. */
export async function componentsNamed(redis: Redis, name: string): Promise<ComponentSummary[]> {
  // Looked for in the text first: thousands are known, and parsing all of them takes longer than all that follows.
  const word = JSON.stringify(name)
  return (await redis.hvals(keys.components()))
    .filter((json) => json.includes(word))
    .map((json) => parseRecord(summarySchema, json, keys.components()))
    .filter((one) => one.kind === 'deb' && one.name === name)
}

/** Every component known, sorted by kind, name and version. */
export async function listComponents(redis: Redis): Promise<ComponentSummary[]> {
  const records = await redis.hvals(keys.components())
  return records
    .map((json) => parseRecord(summarySchema, json, keys.components()))
    .sort((a, b) => compare(a.kind, b.kind) || compare(a.name, b.name) || compare(a.version, b.version))
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
