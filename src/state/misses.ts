import { z } from 'zod'
import { keys } from './keys.ts'
import { parseRecord, updateRecord } from './record.ts'
import type { Redis } from './redis.ts'

/**
 * What became of a miss: the application got ENOENT (`missed`), the node answered from what it knows (`answered`), or
 * asked for the content (`fetched`) and got nothing in time (`away`), something else (`corrupt`), or a no (`refused`).
 */
export const missOutcomes = ['missed', 'answered', 'fetched', 'away', 'corrupt', 'refused'] as const

const missSchema = z.object({
  path: z.string(),
  type: z.enum(['file', 'dir', 'symlink']),
  /** Name of the component that has it. */
  component: z.string(),
  /** Of the newest miss: the process that asked, the node, its bundle, and seconds since the node's start. */
  process: z.string(),
  pid: z.number(),
  node: z.string(),
  bundle: z.string(),
  uptime: z.number(),
  outcome: z.enum(missOutcomes),
  /** Milliseconds that the application waited for the content. */
  took: z.number().optional(),
  count: z.number(),
  /** Milliseconds since 1970. */
  firstAt: z.number(),
  lastAt: z.number(),
})

/** A path that the stack has and a bundle lacks, asked for on running nodes. */
export type Miss = Readonly<z.infer<typeof missSchema>>

/** Adds to what is known of the path; `fresh` when nothing was, or something else became of it. */
export async function putMiss(
  redis: Redis,
  blueprint: string,
  miss: Omit<Miss, 'firstAt'>,
): Promise<{ readonly miss: Miss; readonly fresh: boolean }> {
  let fresh = true
  const put = await updateRecord(redis, keys.misses(blueprint), miss.path, missSchema, (before) => {
    fresh = before?.outcome !== miss.outcome
    return { ...miss, firstAt: before?.firstAt ?? miss.lastAt, count: miss.count + (before?.count ?? 0) }
  })
  return { miss: put, fresh }
}

/** The newest first. */
export async function listMisses(redis: Redis, blueprint: string): Promise<Miss[]> {
  const all = await redis.hvals(keys.misses(blueprint))
  return all
    .map((json) => parseRecord(missSchema, json, keys.misses(blueprint)))
    .sort((a, b) => b.lastAt - a.lastAt || (a.path < b.path ? -1 : 1))
}
