import { z } from 'zod'
import { type Digest, isDigest } from '../store/digest.ts'
import type { PartName } from './changes.ts'
import { keys } from './keys.ts'
import { assignmentSchema, getNode, updateNode } from './nodes.ts'
import { parseRecord } from './record.ts'
import type { Redis } from './redis.ts'

const lentSchema = z.object({
  /** Whose share it tries. */
  change: z.string(),
  blueprint: z.string(),
  bundle: z.custom<Digest>((value) => typeof value === 'string' && isDigest(value)),
  /** Its own. */
  assignment: assignmentSchema.nullable(),
  /** Milliseconds since 1970: when this bundle's turn began. */
  at: z.number(),
})

/** A node that tries a bundle for a share of a change, and what it is assigned otherwise. */
export type Lent = Readonly<z.infer<typeof lentSchema>> & { readonly mac: string }

interface Trial extends PartName {
  readonly bundle: Digest
  /** A try of its own, though the share had it boot the same bundle before. */
  readonly anew: boolean
}

/**
 * Assigns a bundle to a node for a trial, and keeps what it was assigned before. Asked again by the same share, the trial
 * goes on. Returns when it began (milliseconds since 1970); undefined while the node is another share's.
 */
export async function lendNode(redis: Redis, mac: string, trial: Trial): Promise<number | undefined> {
  const { change, blueprint, bundle, anew } = trial
  // As it is read again: whoever returns it compares.
  const put = (lent: Omit<Lent, 'mac'>) => redis.hset(keys.canaries(), mac, JSON.stringify(lentSchema.parse(lent)))
  const own = async () => (await getNode(redis, mac))?.assignment ?? null
  const claim = { change, blueprint, bundle, assignment: await own(), at: Date.now() }
  const isMine = (await redis.hsetnx(keys.canaries(), mac, JSON.stringify(claim))) === 1
  // Who had it before may have given its assignment back only now.
  const found = isMine ? { ...claim, assignment: await own() } : await lentAs(redis, mac)
  if (found?.change !== change || found.blueprint !== blueprint) return undefined
  const goesOn = found.bundle === bundle && !anew
  const lent = goesOn ? found : { ...found, bundle, at: Date.now() }
  await put(lent)
  await updateNode(redis, mac, (current) => ({ groups: [], ...current, mac, assignment: { blueprint, bundle } }))
  return lent.at
}

/** KEYS: canaries. ARGV: MAC, its record as it was read. */
const end = `
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
return redis.call('HDEL', KEYS[1], ARGV[1])`

/**
 * Gives the node its own assignment again, unless somebody gave it another one meanwhile. False when it was returned
 * already, or is lent anew.
 */
export async function returnNode(redis: Redis, { mac, ...lent }: Lent): Promise<boolean> {
  const { blueprint, bundle, assignment } = lent
  const json = JSON.stringify(lent)
  if ((await redis.hget(keys.canaries(), mac)) !== json) return false
  await updateNode(redis, mac, (current) => {
    const { assignment: tried, ...rest } = { groups: [], ...current, mac }
    const isTrial = tried !== undefined && 'bundle' in tried && tried.bundle === bundle && tried.blueprint === blueprint
    if (!isTrial) return tried ? { ...rest, assignment: tried } : rest
    return assignment ? { ...rest, assignment } : rest
  })
  return (await redis.eval(end, 1, keys.canaries(), mac, json)) === 1
}

export async function listLent(redis: Redis): Promise<Lent[]> {
  const all = Object.entries(await redis.hgetall(keys.canaries()))
  return all.map(([mac, json]) => ({ mac, ...parseRecord(lentSchema, json, `${keys.canaries()} ${mac}`) }))
}

async function lentAs(redis: Redis, mac: string) {
  const json = await redis.hget(keys.canaries(), mac)
  return json === null ? undefined : parseRecord(lentSchema, json, `${keys.canaries()} ${mac}`)
}
