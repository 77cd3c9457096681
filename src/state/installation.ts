import { randomUUID } from 'node:crypto'
import { keys } from './keys.ts'
import type { Redis } from './redis.ts'

/** Names the servers that share this Redis; made when the first of them starts. */
export async function installationOf(redis: Redis): Promise<string> {
  await redis.setnx(keys.installation(), randomUUID())
  return (await redis.get(keys.installation()))!
}
