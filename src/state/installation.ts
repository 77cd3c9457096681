import { randomUUID } from 'node:crypto'
import { keys } from './keys.ts'
import type { Redis } from './redis.ts'

/** Names the servers that share this Redis; made when the first of them starts. */
export async function installationOf(redis: Redis): Promise<string> {
  await redis.setnx(keys.installation(), randomUUID())
  return (await redis.get(keys.installation()))!
}

/** The identity of the store that the servers on this Redis share: of the first of them that started. */
export async function sharedStore(redis: Redis, own: string): Promise<string> {
  await redis.setnx(keys.store(), own)
  return (await redis.get(keys.store()))!
}

/** From now on the store is this one. */
export async function replaceSharedStore(redis: Redis, own: string): Promise<void> {
  await redis.set(keys.store(), own)
}
