import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { keys } from './keys.ts'
import { parseRecord } from './record.ts'
import type { Redis } from './redis.ts'

const orderSchema = z.object({
  id: z.string(),
  /** Boot anew, without the firmware where that can be; boot anew through it; tell what stands in its root, or where its memory is. */
  do: z.enum(['reboot', 'reboot-full', 'drift', 'weigh']),
  /** The boot that the node runs by: another one of it has nothing to do any more. */
  boot: z.string(),
  /** Milliseconds since 1970. */
  at: z.number(),
})

/** What a running node is told once it asks: again and again, until it boots anew or has answered. */
export type Order = Readonly<z.infer<typeof orderSchema>>

/** In place of one that the node had. */
export async function putOrder(redis: Redis, mac: string, order: Pick<Order, 'do' | 'boot'>): Promise<Order> {
  const put = { id: randomBytes(8).toString('hex'), ...order, at: Date.now() }
  await redis.hset(keys.orders(), mac, JSON.stringify(put))
  return put
}

export async function getOrder(redis: Redis, mac: string): Promise<Order | undefined> {
  const json = await redis.hget(keys.orders(), mac)
  return json === null ? undefined : parseRecord(orderSchema, json, `order of ${mac}`)
}

export async function removeOrder(redis: Redis, mac: string): Promise<void> {
  await redis.hdel(keys.orders(), mac)
}

/** Nodes that are remembered to have asked: beyond it, those that asked longest ago go. */
const mostHeard = 50_000

/**
 * KEYS: runs, orders, heard. ARGV: MAC, boot, now, '1' when the boot is known to be the node's, most heard. Returns whether it is
 * known now, and the order or ''. A node may begin a boot without ending the one that it runs by: that one counts, too.
 */
const ask = `
local run = redis.call('HGET', KEYS[1], ARGV[1])
local own = run and cjson.decode(run).boot == ARGV[2]
if not own and ARGV[4] ~= '1' then return {0, ''} end
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[1])
if redis.call('ZCARD', KEYS[3]) > tonumber(ARGV[5]) then redis.call('ZPOPMIN', KEYS[3]) end
local json = redis.call('HGET', KEYS[2], ARGV[1])
if not json then return {1, ''} end
if cjson.decode(json).boot == ARGV[2] then return {1, json} end
redis.call('HDEL', KEYS[2], ARGV[1])
return {1, ''}`

/** What a node is to do that asks in one of its boots; `unknown` when nothing is known of that boot. */
export async function askOrder(
  redis: Redis,
  mac: string,
  boot: string,
  known: boolean,
): Promise<Order | 'unknown' | undefined> {
  const table = [keys.runs(), keys.orders(), keys.heard()]
  const words = [mac, boot, Date.now(), known ? '1' : '', mostHeard]
  const [own, json] = (await redis.eval(ask, 3, ...table, ...words)) as [number, string]
  if (own === 0) return 'unknown'
  return json === '' ? undefined : parseRecord(orderSchema, json, `order of ${mac}`)
}

/** When each running node last asked (milliseconds since 1970). */
export async function listHeard(redis: Redis): Promise<Map<string, number>> {
  const flat = await redis.zrange(keys.heard(), '0', '-1', 'WITHSCORES')
  return new Map(Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i]!, Number(flat[2 * i + 1])]))
}

export async function heardAt(redis: Redis, mac: string): Promise<number | undefined> {
  const score = await redis.zscore(keys.heard(), mac)
  return score === null ? undefined : Number(score)
}

/** Seconds that a node's account of its root is kept. */
const kept = 300

export async function putInventory(redis: Redis, order: string, text: string): Promise<void> {
  await redis.set(keys.inventory(order), text, 'EX', kept)
}

export async function getInventory(redis: Redis, order: string): Promise<string | undefined> {
  return (await redis.get(keys.inventory(order))) ?? undefined
}
