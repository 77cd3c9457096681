import { type Digest, isDigest } from '../store/digest.ts'
import { blueprintNames } from './blueprints.ts'
import { keys } from './keys.ts'
import type { Redis } from './redis.ts'

/** Where a channel points now. */
export interface Pointer {
  readonly blueprint: string
  readonly channel: string
  readonly bundle: Digest
}

/** The channels of all blueprints at once, without their histories. */
export async function pointersOfAll(redis: Redis): Promise<Pointer[]> {
  const names = (await blueprintNames(redis)).sort()
  const pipeline = redis.pipeline()
  for (const name of names) pipeline.hgetall(keys.channels(name))
  const replies = (await pipeline.exec()) ?? []
  return names.flatMap((blueprint, index) => {
    const [error, pointers] = replies[index]!
    if (error) throw error
    return Object.entries(pointers as Record<string, string>).flatMap(([channel, bundle]) =>
      isDigest(bundle) ? [{ blueprint, channel, bundle }] : [],
    )
  })
}
