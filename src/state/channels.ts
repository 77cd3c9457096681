import { z } from 'zod'
import { BootloomError } from '../config/errors.ts'
import type { Digest } from '../store/digest.ts'
import { keys } from './keys.ts'
import { parseRecord } from './record.ts'
import type { Redis } from './redis.ts'

export const channelNames = ['stable', 'candidate'] as const

export type ChannelName = (typeof channelNames)[number]

const moveSchema = z.object({
  from: z.string().nullable(),
  to: z.string(),
  /** Milliseconds since 1970. */
  at: z.number(),
  reason: z.string(),
  rollback: z.literal(true).optional(),
})

/** One move of a channel: the pointer before, the pointer after. */
export type ChannelMove = z.infer<typeof moveSchema>

export interface Channel {
  readonly digest: Digest
  /** Newest first. */
  readonly history: readonly ChannelMove[]
}

const historyLength = 100

/**
 * KEYS: channels, history, holds, rollouts. ARGV: channel, new digest, '*' or the digest expected ('' for none), move, most - 1,
 * blueprint, '*' or for an automatism the digest that it knows to be on hold ('' for none).
 */
const move = `
local found = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if ARGV[3] ~= '*' and ARGV[3] ~= found then return {0, found} end
local held = redis.call('HGET', KEYS[3], ARGV[6])
held = held and cjson.decode(held).bundle
if held and ARGV[7] ~= '*' and (held == ARGV[2] or held ~= ARGV[7]) then return {3, held} end
local rollout = ARGV[7] ~= '*' and redis.call('HGET', KEYS[4], ARGV[6])
rollout = rollout and cjson.decode(rollout)
if rollout and not rollout.endedAt and rollout.channel == ARGV[1] then return {4, rollout.to} end
if held and held ~= ARGV[2] then redis.call('HDEL', KEYS[3], ARGV[6]) end
if found == ARGV[2] then return {2, found} end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
local record = cjson.decode(ARGV[4])
if found == '' then record.from = cjson.null else record.from = found end
redis.call('LPUSH', KEYS[2], cjson.encode(record))
redis.call('LTRIM', KEYS[2], 0, tonumber(ARGV[5]))
return {1, found}`

interface Move {
  readonly blueprint: string
  readonly channel: ChannelName
  readonly digest: Digest
  /** Move only when the channel points there now; `null`: only when it points nowhere yet. Left out: in any case. */
  readonly expected?: Digest | null
  readonly reason: string
  readonly rollback?: true
  /**
   * Nobody asked for this move: it is refused for a bundle on hold, while another bundle is on hold than the mover
   * knows of (`null`: none), and during a rollout. Left out: a person's move, which nothing stands in the way of.
   */
  readonly automatic?: { readonly held: Digest | null }
}

/**
 * Moves a channel; pointer and history change together. True when it moved, false when it stood there already. A move to
 * another bundle than the one on hold ends the hold.
 * CHANNEL_MOVED when it does not point where it was expected to; CHANNEL_HELD for an automatism that must not move it, and
 * ROLLOUT_UNDER_WAY while a rollout of the channel is.
 */
export async function moveChannel(redis: Redis, request: Move): Promise<boolean> {
  const { blueprint, channel, digest, expected, reason, rollback, automatic } = request
  const record = { to: digest, at: Date.now(), reason, ...(rollback ? { rollback } : {}) }
  const [outcome, found] = (await redis.eval(
    move,
    4,
    keys.channels(blueprint),
    keys.channelHistory(blueprint, channel),
    keys.holds(),
    keys.rollouts(),
    channel,
    digest,
    expected === undefined ? '*' : (expected ?? ''),
    JSON.stringify(record),
    historyLength - 1,
    blueprint,
    automatic === undefined ? '*' : (automatic.held ?? ''),
  )) as [number, string]
  if (outcome === 4) {
    throw new BootloomError('ROLLOUT_UNDER_WAY', `${found} is being rolled out`, { where: `${blueprint}/${channel}` })
  }
  if (outcome === 3) {
    throw new BootloomError('CHANNEL_HELD', `nodes did not come up with ${found}`, { where: `${blueprint}/${channel}` })
  }
  if (outcome === 0) {
    throw new BootloomError('CHANNEL_MOVED', `${channel} of ${blueprint} points to ${found || 'nothing'}`, {
      where: `${blueprint}/${channel}`,
    })
  }
  return outcome === 1
}

/**
 * Moves a channel back to the bundle named, or to the one that it pointed to before the present one came; repeated,
 * further back. Ends a hold. CHANNEL_NO_PREVIOUS when there is no bundle to go back to.
 */
export async function rollbackChannel(
  redis: Redis,
  blueprint: string,
  channel: ChannelName,
  to?: Digest,
): Promise<Digest> {
  const current = await getChannel(redis, blueprint, channel)
  const arrival = current?.history.find((entry) => entry.to === current.digest && !entry.rollback)
  const digest = to ?? (arrival?.from as Digest | null | undefined)
  if (!current || !digest) {
    throw new BootloomError('CHANNEL_NO_PREVIOUS', `${channel} of ${blueprint} never pointed to another bundle`, {
      where: `${blueprint}/${channel}`,
    })
  }
  const reason = 'rolled back'
  await moveChannel(redis, { blueprint, channel, digest, expected: current.digest, reason, rollback: true })
  return digest
}

const holdSchema = z.object({
  bundle: z.custom<Digest>((value) => typeof value === 'string' && /^sha256:[0-9a-f]{64}$/.test(value)),
  channel: z.enum(channelNames),
  /** The first node that had its tries with it. */
  mac: z.string(),
  /** Milliseconds since 1970. */
  at: z.number(),
})

/** A bundle that a node did not come up with: no automatism brings it to a channel of its blueprint. */
export type Hold = z.infer<typeof holdSchema>

export async function getHold(redis: Redis, blueprint: string): Promise<Hold | undefined> {
  const json = await redis.hget(keys.holds(), blueprint)
  return json === null ? undefined : parseRecord(holdSchema, json, `hold of ${blueprint}`)
}

/** By blueprint. */
export async function listHolds(redis: Redis): Promise<Map<string, Hold>> {
  const all = Object.entries(await redis.hgetall(keys.holds()))
  return new Map(all.map(([blueprint, json]) => [blueprint, parseRecord(holdSchema, json, `hold of ${blueprint}`)]))
}

/** Ends the hold, and lets every node try again what it was not ready with. True when there was a hold. */
export async function releaseHold(redis: Redis, blueprint: string): Promise<boolean> {
  const replies = await redis.multi().hdel(keys.holds(), blueprint).del(keys.tries(blueprint)).exec()
  return replies?.[0]?.[1] === 1
}

/** Where the channels of a blueprint point, without their history. */
export function channelPointers(redis: Redis, blueprint: string): Promise<Partial<Record<ChannelName, Digest>>> {
  return redis.hgetall(keys.channels(blueprint)) as Promise<Partial<Record<ChannelName, Digest>>>
}

async function getChannel(redis: Redis, blueprint: string, channel: ChannelName): Promise<Channel | undefined> {
  return (await getChannels(redis, blueprint))[channel]
}

/** Both channels of a blueprint; one that points nowhere yet is absent. */
export async function getChannels(redis: Redis, blueprint: string): Promise<Partial<Record<ChannelName, Channel>>> {
  const multi = redis.multi().hgetall(keys.channels(blueprint))
  for (const channel of channelNames) multi.lrange(keys.channelHistory(blueprint, channel), 0, -1)
  const [pointers, ...histories] = ((await multi.exec()) ?? []).map(([error, value]) => {
    if (error) throw error
    return value
  }) as [Record<string, Digest>, ...string[][]]
  const found: Partial<Record<ChannelName, Channel>> = {}
  for (const [i, channel] of channelNames.entries()) {
    const digest = pointers[channel]
    const history = (histories[i] ?? []).map((json) => parseRecord(moveSchema, json, `${blueprint}/${channel} history`))
    if (digest) found[channel] = { digest, history }
  }
  return found
}
