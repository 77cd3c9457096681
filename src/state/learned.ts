import { keys } from './keys.ts'
import type { Redis } from './redis.ts'

/** How a node may have touched a file; `read`: by the kernel, or as a symbolic link that was walked. */
export const waysLearned = ['open', 'exec', 'readdir', 'read', 'create'] as const

export interface Learned {
  readonly path: string
  readonly how: (typeof waysLearned)[number]
  /** As a path of the node; '' where it is not known. */
  readonly process: string
}

/** Keeps what is new: who touched a path first in some way stays. Whoever calls sees to it that paths are few. */
export async function putLearned(redis: Redis, mac: string, learned: readonly Learned[]): Promise<void> {
  const pipeline = redis.pipeline()
  for (const { path, how, process } of learned) pipeline.hsetnx(keys.learned(mac), `${how} ${path}`, process)
  for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error
}

export async function listLearned(redis: Redis, mac: string): Promise<Learned[]> {
  const found = await redis.hgetall(keys.learned(mac))
  return Object.entries(found).flatMap(([field, process]) => {
    const how = waysLearned.find((way) => field.startsWith(`${way} `))
    return how === undefined ? [] : [{ path: field.slice(how.length + 1), how, process }]
  })
}

export async function forgetLearned(redis: Redis, mac: string): Promise<void> {
  await redis.del(keys.learned(mac))
}
