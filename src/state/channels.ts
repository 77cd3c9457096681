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
type ChannelMove = z.infer<typeof moveSchema>

interface Channel {
  readonly digest: Digest
  /** Newest first. */
  readonly history: readonly ChannelMove[]
}

const historyLength = 100

/** KEYS: channels, history. ARGV: channel, new digest, '*' or the digest expected ('' for none), move, most - 1. */
const move = `
local found = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if ARGV[3] ~= '*' and ARGV[3] ~= found then return {0, found} end
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
}

/**
 * Moves a channel; pointer and history change together. True when it moved, false when it stood there already.
 * CHANNEL_MOVED when it does not point where it was expected to.
 */
export async function moveChannel(redis: Redis, request: Move): Promise<boolean> {
  const { blueprint, channel, digest, expected, reason, rollback } = request
  const record = { to: digest, at: Date.now(), reason, ...(rollback ? { rollback } : {}) }
  const [outcome, found] = (await redis.eval(
    move,
    2,
    keys.channels(blueprint),
    keys.channelHistory(blueprint, channel),
    channel,
    digest,
    expected === undefined ? '*' : (expected ?? ''),
    JSON.stringify(record),
    historyLength - 1,
  )) as [number, string]
  if (outcome === 0) {
    throw new BootloomError('CHANNEL_MOVED', `${channel} of ${blueprint} points to ${found || 'nothing'}`, {
      where: `${blueprint}/${channel}`,
    })
  }
  return outcome === 1
}

/** Moves a channel back to the bundle that it pointed to before the present one came; repeated, further back. */
export async function rollbackChannel(redis: Redis, blueprint: string, channel: ChannelName): Promise<Digest> {
  const current = await getChannel(redis, blueprint, channel)
  const arrival = current?.history.find((entry) => entry.to === current.digest && !entry.rollback)
  if (!current || !arrival?.from) {
    throw new BootloomError('CHANNEL_NO_PREVIOUS', `${channel} of ${blueprint} never pointed to another bundle`, {
      where: `${blueprint}/${channel}`,
    })
  }
  const digest = arrival.from as Digest
  const reason = 'rolled back'
  await moveChannel(redis, { blueprint, channel, digest, expected: current.digest, reason, rollback: true })
  return digest
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
