import { z } from 'zod'
import { keys } from './keys.ts'
import { type Assignment, assignmentSchema, getNode, updateNode } from './nodes.ts'
import { parseRecord } from './record.ts'
import type { Redis } from './redis.ts'

const lentSchema = z.object({
  assignment: assignmentSchema.nullable(),
  bundle: z.string(),
  /** Milliseconds since 1970. */
  at: z.number(),
})

/**
 * Assigns a bundle to a node for a trial, and keeps what it was assigned before. Called again for the same bundle, the
 * trial goes on. Returns when it began (milliseconds since 1970).
 */
export async function lendNode(
  redis: Redis,
  mac: string,
  trial: Extract<Assignment, { bundle: unknown }>,
): Promise<number> {
  const before = await lent(redis, mac)
  const own = before ? before.assignment : ((await getNode(redis, mac))?.assignment ?? null)
  const at = before?.bundle === trial.bundle ? before.at : Date.now()
  await redis.hset(keys.canaries(), mac, JSON.stringify({ assignment: own, bundle: trial.bundle, at }))
  await updateNode(redis, mac, (current) => ({ groups: [], ...current, mac, assignment: trial }))
  return at
}

/** Gives the node its own assignment again; nothing when it was not lent. */
export async function returnNode(redis: Redis, mac: string): Promise<void> {
  const before = await lent(redis, mac)
  if (!before) return
  await updateNode(redis, mac, (current) => {
    const { assignment: _, ...rest } = { groups: [], ...current, mac }
    return before.assignment ? { ...rest, assignment: before.assignment } : rest
  })
  await redis.hdel(keys.canaries(), mac)
}

async function lent(redis: Redis, mac: string) {
  const json = await redis.hget(keys.canaries(), mac)
  return json === null ? undefined : parseRecord(lentSchema, json, `${keys.canaries()} ${mac}`)
}
