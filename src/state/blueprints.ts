import { z } from 'zod'
import type { Digest } from '../store/digest.ts'
import { keys } from './keys.ts'
import { parseRecord, updateRecord } from './record.ts'
import type { Redis } from './redis.ts'

const digest = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/)
  .transform((text) => text as Digest)

const recordSchema = z.object({
  name: z.string(),
  /** The text as it was applied. */
  yaml: z.string(),
  /** Where relative paths in it count from. */
  directory: z.string(),
  /** Of the blob that holds the blueprint, parsed and canonical. */
  digest,
  stackDigest: digest.optional(),
  /** Of the sources that the stack was resolved for: others need another one. */
  stackSources: digest.optional(),
  profileDigest: digest.optional(),
  selectionDigest: digest.optional(),
  /** Of the record of the last observation: who touched what, what was answered. */
  observationDigest: digest.optional(),
  /** A new bundle of it is verified, or waits for somebody or for a time, before `stable` moves to it. */
  gated: z.literal(true).optional(),
  /** Its newest selection failed its replay, and no bundle of it was published. */
  held: z.literal(true).optional(),
  /** Paths kept because a bundle was found to lack them; `at` in milliseconds since 1970. */
  widened: z
    .array(z.object({ path: z.string(), pages: z.string().optional(), by: z.string(), at: z.number() }))
    .optional(),
  /** Why the last work on it failed; absent when it went well. */
  error: z
    .object({
      code: z.string(),
      message: z.string(),
      where: z.string().optional(),
      details: z.array(z.string()).optional(),
      hint: z.string(),
    })
    .optional(),
  /** Milliseconds since 1970. */
  updatedAt: z.number(),
})

/** A blueprint that was applied, and how far the work on it has come. */
export type BlueprintRecord = z.infer<typeof recordSchema>

export async function getBlueprint(redis: Redis, name: string): Promise<BlueprintRecord | undefined> {
  const json = await redis.hget(keys.blueprints(), name)
  return json === null ? undefined : parseRecord(recordSchema, json, `blueprint ${name}`)
}

export async function listBlueprints(redis: Redis): Promise<BlueprintRecord[]> {
  const all = await redis.hgetall(keys.blueprints())
  return Object.entries(all)
    .map(([name, json]) => parseRecord(recordSchema, json, `blueprint ${name}`))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

export function blueprintNames(redis: Redis): Promise<string[]> {
  return redis.hkeys(keys.blueprints())
}

/** Writes the record by what it holds now; `change` may be called more than once, so it must only compute. */
export function updateBlueprint(
  redis: Redis,
  name: string,
  change: (current: BlueprintRecord | undefined) => BlueprintRecord,
): Promise<BlueprintRecord> {
  return updateRecord(redis, keys.blueprints(), name, recordSchema, change)
}
