import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { keys } from './keys.ts'
import { parseRecord } from './record.ts'
import type { Redis } from './redis.ts'

const hardwareSchema = z.object({
  /** Of all its devices, sorted. */
  modaliases: z.array(z.string()),
  /** Milliseconds since 1970: when it first said these. */
  at: z.number(),
})

/** The devices that a node told of. */
export type Hardware = Readonly<z.infer<typeof hardwareSchema>>

export async function getHardware(redis: Redis, mac: string): Promise<Hardware | undefined> {
  const json = await redis.hget(keys.hardware(), mac)
  return json === null ? undefined : parseRecord(hardwareSchema, json, `hardware of ${mac}`)
}

/** Of those of the nodes that told of theirs. */
export async function listHardware(redis: Redis, macs: readonly string[]): Promise<Hardware[]> {
  if (macs.length === 0) return []
  const found = await redis.hmget(keys.hardware(), ...macs)
  return found.flatMap((json, i) =>
    json === null ? [] : [parseRecord(hardwareSchema, json, `hardware of ${macs[i]}`)],
  )
}

/** True when it was not known like that. Whoever weaves hears of it. */
export async function putHardware(redis: Redis, mac: string, modaliases: readonly string[]): Promise<boolean> {
  const known = await getHardware(redis, mac)
  if (known?.modaliases.join('\n') === modaliases.join('\n')) return false
  const hardware: Hardware = { modaliases: [...modaliases], at: Date.now() }
  await redis.hset(keys.hardware(), mac, JSON.stringify(hardware))
  await noteHardware(redis, mac)
  return true
}

/** Somebody is to look whether the node's blueprint has what its devices need, as far as it told of any. */
export async function noteHardware(redis: Redis, mac: string): Promise<void> {
  if (await redis.hexists(keys.hardware(), mac)) await redis.hset(keys.hardwareNews(), mac, randomUUID())
}

/** MAC addresses that are to be looked at, each with a mark that another note would change. */
export type HardwareNews = ReadonlyMap<string, string>

export const hardwareNews = async (redis: Redis): Promise<HardwareNews> =>
  new Map(Object.entries(await redis.hgetall(keys.hardwareNews())))

const forget = `
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
end`

/** These were looked at; what was noted since is not forgotten. */
export async function forgetHardwareNews(redis: Redis, seen: HardwareNews): Promise<void> {
  await redis.eval(forget, 1, keys.hardwareNews(), ...[...seen].flat())
}
