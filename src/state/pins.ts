import { z } from 'zod'
import { keys } from './keys.ts'
import { parseRecord } from './record.ts'
import type { Redis } from './redis.ts'

const pinSchema = z.object({
  blueprint: z.string(),
  /** The binary package, and the version that it stays on. */
  package: z.string(),
  version: z.string(),
  reason: z.string(),
  /** Milliseconds since 1970: when it was set, and when it ends by itself. */
  at: z.number(),
  until: z.number(),
})

/** One application stays on a version of a package, until a date and for a reason, while others move on. */
export type Pin = Readonly<z.infer<typeof pinSchema>>

/** No blueprint and no package has a blank in its name. */
const fieldOf = (blueprint: string, name: string): string => `${blueprint} ${name}`

/** In place of one that the package had. */
export async function putPin(redis: Redis, pin: Pin): Promise<void> {
  await redis.hset(keys.pins(), fieldOf(pin.blueprint, pin.package), JSON.stringify(pin))
}

export async function removePin(redis: Redis, blueprint: string, name: string): Promise<boolean> {
  return (await redis.hdel(keys.pins(), fieldOf(blueprint, name))) === 1
}

/** Those that have ended, too; sorted by blueprint and package. */
export async function listPins(redis: Redis): Promise<Pin[]> {
  const all = Object.entries(await redis.hgetall(keys.pins())).sort(([a], [b]) => (a < b ? -1 : 1))
  return all.map(([field, json]) => parseRecord(pinSchema, json, `${keys.pins()} ${field}`))
}

/** Those that hold now. */
export async function pinsInForce(redis: Redis, now = Date.now()): Promise<Pin[]> {
  return (await listPins(redis)).filter(({ until }) => now < until)
}
