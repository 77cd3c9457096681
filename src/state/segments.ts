import { z } from 'zod'
import type { Digest } from '../store/digest.ts'
import { keys } from './keys.ts'
import { parseRecord } from './record.ts'
import type { Redis } from './redis.ts'

const segmentSchema = z.object({
  digest: z.custom<Digest>((value) => typeof value === 'string' && /^sha256:[0-9a-f]{64}$/.test(value)),
  /** Bytes of the frame, and of the cpio in it. */
  size: z.number(),
  raw: z.number(),
})

/** The segment that was woven from a recipe. Derived: losing these records costs weaving anew, nothing else. */
export type WovenSegment = z.infer<typeof segmentSchema>

/** In the order of the recipes; undefined where nothing was woven from one. */
export async function getSegments(
  redis: Redis,
  recipes: readonly Digest[],
): Promise<readonly (WovenSegment | undefined)[]> {
  if (recipes.length === 0) return []
  const found = await redis.hmget(keys.segments(), ...recipes)
  return found.map((json, i) =>
    json === null ? undefined : parseRecord(segmentSchema, json, `${keys.segments()} ${recipes[i]}`),
  )
}

export async function putSegment(redis: Redis, recipe: Digest, segment: WovenSegment): Promise<void> {
  await redis.hset(keys.segments(), recipe, JSON.stringify(segment))
}
