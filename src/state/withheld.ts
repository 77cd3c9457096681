import { z } from 'zod'
import { type Digest, isDigest } from '../store/digest.ts'
import { channelNames } from './channels.ts'
import { keys } from './keys.ts'
import { parseRecord } from './record.ts'
import type { Redis } from './redis.ts'

const digest = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value))

const withheldSchema = z.object({
  blueprint: z.string(),
  channel: z.enum(channelNames),
  bundle: digest,
  level: z.enum(['fast', 'thorough', 'foreign']),
  reason: z.string(),
  woven: z.array(z.string()),
  /** What it was made of: it is the newest as long as the blueprint still has that. */
  of: z.union([z.object({ selection: digest }), z.object({ applied: digest })]),
  /** Milliseconds since 1970. */
  at: z.number(),
})

/** A bundle that would have come to a channel by itself, had that not been under a rollout. */
export type Withheld = Readonly<z.infer<typeof withheldSchema>>

const fieldOf = ({ blueprint, channel }: Withheld): string => `${blueprint} ${channel}`

/** The same for the same, in whatever order its fields were named. */
const textOf = (withheld: Withheld): string => JSON.stringify(withheldSchema.parse(withheld))

/** In place of an older one of the channel. */
export async function putWithheld(redis: Redis, withheld: Withheld): Promise<void> {
  await redis.hset(keys.withheld(), fieldOf(withheld), textOf(withheld))
}

export async function listWithheld(redis: Redis): Promise<Withheld[]> {
  const all = Object.entries(await redis.hgetall(keys.withheld()))
  return all.map(([field, json]) => parseRecord(withheldSchema, json, `${keys.withheld()} ${field}`))
}

/** KEYS: withheld. ARGV: field, its value as it was read. */
const remove = `
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then return redis.call('HDEL', KEYS[1], ARGV[1]) end
return 0`

/** Forgets it, unless a newer one took its place. */
export async function removeWithheld(redis: Redis, withheld: Withheld): Promise<void> {
  await redis.eval(remove, 1, keys.withheld(), fieldOf(withheld), textOf(withheld))
}
