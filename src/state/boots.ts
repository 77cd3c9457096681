import { z } from 'zod'
import { keys } from './keys.ts'
import { parseRecord } from './record.ts'
import type { Redis } from './redis.ts'

/** What can happen in a boot, in the order in which it usually does. */
const stageNames = [
  'discover',
  'offer',
  'request',
  'ack',
  'nak',
  'tftp',
  'program',
  'script',
  'kernel',
  'initramfs',
  'overlay',
  /** All of a foreign bundle was handed over; what comes of it is not ours to see. */
  'delivered',
  /** A running node goes into the bundle without its firmware, or could not. */
  'jump',
  'no-jump',
  'init',
  'network',
  'app',
  'ready',
  'failed',
] as const

const stageSchema = z.object({
  stage: z.enum(stageNames),
  /** Milliseconds since 1970: when it happened; of a transfer, when it ended. */
  at: z.number(),
  /** Whose DHCP exchange: the firmware's, iPXE's, or the running node's. */
  by: z.enum(['firmware', 'ipxe', 'node']).optional(),
  address: z.string().optional(),
  file: z.string().optional(),
  bytes: z.number().optional(),
  /** Milliseconds that a transfer took. */
  took: z.number().optional(),
  /** What the script told the node: boot, kexec, waiting, unassigned, local, not-ready, error. */
  action: z.string().optional(),
  /** Seconds on the node's own clock. */
  uptime: z.number().optional(),
  /** Bytes of the node's RAM when it was ready. */
  memTotal: z.number().optional(),
  memAvailable: z.number().optional(),
  /** More, for people. */
  detail: z.string().optional(),
  /** Times that the same was asked in a row. */
  times: z.number().optional(),
})

export type Stage = z.infer<typeof stageSchema>

const bootSchema = z.object({
  id: z.string(),
  mac: z.string(),
  /** Milliseconds since 1970. */
  openedAt: z.number(),
  updatedAt: z.number(),
  blueprint: z.string().optional(),
  bundle: z.string().optional(),
  /** The bundle assigned, where the node was given another because it had not come up with that one. */
  gaveUp: z.string().optional(),
  stages: z.array(stageSchema),
  outcome: z.enum(['ready', 'failed', 'delivered']).optional(),
  reason: z.string().optional(),
  /** What the node printed last before it failed. */
  lines: z.array(z.string()).optional(),
})

/** One attempt of one node to come up. */
export type Boot = z.infer<typeof bootSchema>

/** It came by a running node's question, not by its firmware's. */
export const byKexec = ({ stages }: Boot): boolean =>
  stages.findLast(({ stage }) => stage === 'script')?.action === 'kexec'

const keptPerNode = 20
/** Seconds: a boot that was more than a DISCOVER is kept for 30 days, a mere DISCOVER for an hour. */
const keptFor = { boot: 30 * 86_400, discover: 3600 }
/** Boots that a restarted server takes up again. */
const recentFor = 3600_000

/** KEYS: boots-of, recent. ARGV: id, now, expiry of the list, kept per node, oldest that is recent, boot key prefix. */
const index = `
if redis.call('LPOS', KEYS[1], ARGV[1]) == false then
  redis.call('LPUSH', KEYS[1], ARGV[1])
  for _, old in ipairs(redis.call('LRANGE', KEYS[1], ARGV[4], -1)) do redis.call('DEL', ARGV[6] .. old) end
  redis.call('LTRIM', KEYS[1], 0, ARGV[4] - 1)
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[5])
return 1`

/** Writes whole boots as they stand; the last write of one wins. */
export async function putBoots(redis: Redis, boots: readonly Boot[]): Promise<void> {
  const multi = redis.multi()
  for (const boot of boots) {
    const expiry = boot.stages.some(({ stage }) => stage === 'script') ? keptFor.boot : keptFor.discover
    multi.set(keys.boot(boot.id), JSON.stringify(boot), 'EX', expiry)
    const { id, mac, updatedAt } = boot
    const oldest = updatedAt - recentFor
    const of = keys.bootsOf(mac)
    multi.eval(index, 2, of, keys.recentBoots(), id, updatedAt, expiry, keptPerNode, oldest, keys.boot(''))
  }
  for (const [error] of (await multi.exec()) ?? []) if (error) throw error
}

/** Newest first. */
export async function bootsOf(redis: Redis, mac: string, count = keptPerNode): Promise<Boot[]> {
  return getAll(redis, await redis.lrange(keys.bootsOf(mac), 0, count - 1))
}

/** Boots in which something happened within the last hour, oldest first. */
export async function recentBoots(redis: Redis, now: number): Promise<Boot[]> {
  return getAll(redis, await redis.zrangebyscore(keys.recentBoots(), now - recentFor, '+inf'))
}

async function getAll(redis: Redis, ids: readonly string[]): Promise<Boot[]> {
  if (ids.length === 0) return []
  const found = await redis.mget(ids.map((id) => keys.boot(id)))
  return found.flatMap((json, i) => (json === null ? [] : [parseRecord(bootSchema, json, `boot ${ids[i]}`)]))
}
