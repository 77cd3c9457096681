import { z } from 'zod'
import { namedOptionsSchema } from '../config/dhcp-settings.ts'
import type { Digest } from '../store/digest.ts'
import { keys } from './keys.ts'
import { parseRecord, updateRecord } from './record.ts'
import type { Redis } from './redis.ts'

const digest = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/)
  .transform((text) => text as Digest)

/** What a node or a group is to boot: a blueprint, by one of its channels or by one bundle that never moves. */
export const assignmentSchema = z.union([
  z.strictObject({ blueprint: z.string(), channel: z.enum(['stable', 'candidate']) }),
  z.strictObject({ blueprint: z.string(), bundle: digest }),
])

export type Assignment = z.infer<typeof assignmentSchema>

const learningSchema = z.strictObject({
  blueprint: z.string(),
  /** The full stack, with what tells of its files. */
  bundle: digest,
  stack: digest,
  /** Milliseconds since 1970. */
  since: z.number(),
  /** When it ends by itself. */
  until: z.number().optional(),
  /** What earlier runs found is forgotten at the end. */
  fresh: z.boolean().optional(),
})

/** While a node has it, it boots the full stack of a blueprint instead of what it is assigned, and tells what it uses. */
export type Learning = z.infer<typeof learningSchema>

/** What the admin said of a node. Written by the API alone, so nothing that nodes do can undo it. */
export const nodeSchema = z.object({
  mac: z.string(),

  hostname: z.string().optional(),
  /** In the order in which their assignments are tried. */
  groups: z.array(z.string()).default([]),
  assignment: assignmentSchema.optional(),
  learning: learningSchema.optional(),
  /** DHCP options of its own, over those of its groups. */
  options: namedOptionsSchema.optional(),
  /** Its power controller (fleet/power); without credentials. */
  power: z.string().optional(),
})

export type NodeRecord = z.infer<typeof nodeSchema>

const sightingSchema = z.object({ uuid: z.string().optional(), serial: z.string().optional() })

/** A node as it was seen on the network. Times are milliseconds since 1970. */
export interface Sighting extends z.infer<typeof sightingSchema> {
  readonly firstSeen?: number
  readonly lastSeen?: number
}

export async function getNode(redis: Redis, mac: string): Promise<NodeRecord | undefined> {
  const json = await redis.hget(keys.nodes(), mac)
  return json === null ? undefined : parseRecord(nodeSchema, json, `node ${mac}`)
}

export async function listNodes(redis: Redis): Promise<NodeRecord[]> {
  const all = await redis.hgetall(keys.nodes())
  return Object.entries(all).map(([mac, json]) => parseRecord(nodeSchema, json, `node ${mac}`))
}

export function updateNode(
  redis: Redis,
  mac: string,
  change: (current: NodeRecord | undefined) => NodeRecord,
): Promise<NodeRecord> {
  return updateRecord(redis, keys.nodes(), mac, nodeSchema, change)
}

/** Forgets the node: what the admin said and when it was seen. Its boots expire by themselves. */
export async function removeNode(redis: Redis, mac: string): Promise<boolean> {
  const replies = await redis
    .multi()
    .hdel(keys.nodes(), mac)
    .hdel(keys.firstSeen(), mac)
    .hdel(keys.sightings(), mac)
    .zrem(keys.lastSeen(), mac)
    .zrem(keys.heard(), mac)
    .hdel(keys.orders(), mac)
    .hdel(keys.hardware(), mac)
    .exec()
  return (replies ?? []).some(([, count]) => count === 1)
}

/** Anyone on the boot network can invent MACs: beyond this many sightings the oldest is forgotten, with its boots. */
const maxSightings = 50_000

/** KEYS: first-seen, sightings, last-seen. ARGV: mac, now, sighting or '', most, prefixes of the keys boots-of and boot. */
const see = `
redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
if ARGV[3] ~= '' then redis.call('HSET', KEYS[2], ARGV[1], ARGV[3]) end
redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1])
if redis.call('ZCARD', KEYS[3]) > tonumber(ARGV[4]) then
  local oldest = redis.call('ZPOPMIN', KEYS[3])[1]
  redis.call('HDEL', KEYS[1], oldest)
  redis.call('HDEL', KEYS[2], oldest)
  for _, id in ipairs(redis.call('LRANGE', ARGV[5] .. oldest, 0, -1)) do redis.call('DEL', ARGV[6] .. id) end
  redis.call('DEL', ARGV[5] .. oldest)
end
return 1`

export async function recordSighting(
  redis: Redis,
  mac: string,
  at: number,
  identity: { readonly uuid?: string; readonly serial?: string },
): Promise<void> {
  const known = Object.keys(identity).length === 0 ? '' : JSON.stringify(identity)
  const table = [keys.firstSeen(), keys.sightings(), keys.lastSeen()]
  await redis.eval(see, 3, ...table, mac, at, known, maxSightings, keys.bootsOf(''), keys.boot(''))
}

/** Has told its UUID or serial number. */
export async function isIdentified(redis: Redis, mac: string): Promise<boolean> {
  return (await redis.hexists(keys.sightings(), mac)) === 1
}

export async function getSighting(redis: Redis, mac: string): Promise<Sighting | undefined> {
  const replies = await redis
    .pipeline()
    .hget(keys.firstSeen(), mac)
    .hget(keys.sightings(), mac)
    .zscore(keys.lastSeen(), mac)
    .exec()
  const [first, identity, last] = (replies ?? []).map(([error, value]) => {
    if (error) throw error
    return value as string | null
  })
  return first || last ? sighting(mac, first, identity, last) : undefined
}

export async function listSightings(redis: Redis): Promise<Map<string, Sighting>> {
  const [first, identities, last] = await Promise.all([
    redis.hgetall(keys.firstSeen()),
    redis.hgetall(keys.sightings()),
    redis.zrange(keys.lastSeen(), '0', '-1', 'WITHSCORES'),
  ])
  const found = new Map<string, Sighting>()
  for (let i = 0; i < last.length; i += 2) {
    const mac = last[i]!
    found.set(mac, sighting(mac, first[mac], identities[mac], last[i + 1]))
  }
  return found
}

function sighting(mac: string, first?: string | null, identity?: string | null, last?: string | null): Sighting {
  return {
    ...(identity ? parseRecord(sightingSchema, identity, `sighting ${mac}`) : {}),
    ...(first ? { firstSeen: Number(first) } : {}),
    ...(last ? { lastSeen: Number(last) } : {}),
  }
}
