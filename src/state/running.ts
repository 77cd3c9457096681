import type { ChainableCommander } from 'ioredis'
import { type Digest, isDigest } from '../store/digest.ts'
import type { Boot } from './boots.ts'
import { keys } from './keys.ts'
import type { Redis } from './redis.ts'

/**
 * Which bundle each node runs: that of its newest boot that came up. Derived from the boots, for who asks of thousands of
 * nodes at once; `rebuildRunning` makes it again.
 */

/** Adds to the commands what a boot says of it. One that failed runs nothing. */
export function noteRunning(multi: ChainableCommander, { mac, outcome, bundle }: Boot): void {
  if (outcome === 'failed') multi.hdel(keys.running(), mac)
  else if (outcome === 'ready' && bundle !== undefined) multi.hset(keys.running(), mac, bundle)
}

/** MAC → bundle. */
export async function runningBundles(redis: Redis): Promise<Map<string, Digest>> {
  const found = new Map<string, Digest>()
  for (const [mac, bundle] of Object.entries(await redis.hgetall(keys.running()))) {
    if (isDigest(bundle)) found.set(mac, bundle)
  }
  return found
}

/** Makes the table anew from the newest boot of each node that came to an end. */
export async function rebuildRunning(redis: Redis, newestOf: ReadonlyMap<string, Boot>): Promise<void> {
  const multi = redis.multi().del(keys.running())
  for (const boot of newestOf.values()) noteRunning(multi, boot)
  await multi.exec()
}
