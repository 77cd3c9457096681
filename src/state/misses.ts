import { z } from 'zod'
import { keys } from './keys.ts'
import { parseRecord, updateRecord } from './record.ts'
import type { Redis } from './redis.ts'

/**
 * What became of a miss: the application got ENOENT (`missed`), the node answered from what it knows (`answered`), or
 * asked for the content (`fetched`) and got nothing in time (`away`), something else (`corrupt`), or a no (`refused`). Of
 * a file that is kept by page: a page was not there (`missed`: EIO, or SIGBUS where it is mapped), or it was to be
 * `written` (EROFS).
 */
export const missOutcomes = ['missed', 'answered', 'fetched', 'away', 'corrupt', 'refused', 'written'] as const

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
  /** Of a file that is kept by page: the first that was asked for in vain. */
  page: z.number().optional(),
  count: z.number(),
  /** Milliseconds since 1970. */
  firstAt: z.number(),
  lastAt: z.number(),
  /** Who missed it, the newest first, with what each told last. */
  nodes: z
    .array(
      z.object({
        node: z.string(),
        count: z.number(),
        outcome: z.enum(missOutcomes),
        uptime: z.number(),
        lastAt: z.number(),
      }),
    )
    .default([]),
})

/** A path that the stack has and a bundle lacks, asked for on running nodes. */
export type Miss = Readonly<z.infer<typeof missSchema>>

/** Nodes that are kept of a path; all of a rack would make its record as long as the rack. */
const mostNodes = 32

/**
 * Adds to what is known of the path; `fresh` when nothing was, or something else became of it than before on that node,
 * or on any when that node is new. What a node tells again, for it did not hear our answer, does not count again.
 */
export async function putMiss(
  redis: Redis,
  blueprint: string,
  miss: Omit<Miss, 'firstAt' | 'nodes'>,
): Promise<{ readonly miss: Miss; readonly fresh: boolean }> {
  let fresh = true
  const put = await updateRecord(redis, keys.misses(blueprint), miss.path, missSchema, (before) => {
    const { node, outcome, uptime, lastAt } = miss
    const nodes = before?.nodes ?? []
    const same = nodes.find((one) => one.node === node)
    fresh = same ? same.outcome !== outcome : !nodes.some((one) => one.outcome === outcome)
    if (before && !fresh && same?.uptime === uptime) return before
    const now = { node, count: miss.count + (same?.count ?? 0), outcome, uptime, lastAt }
    return {
      ...miss,
      firstAt: before?.firstAt ?? lastAt,
      count: miss.count + (before?.count ?? 0),
      nodes: [now, ...nodes.filter((one) => one !== same)].slice(0, mostNodes),
    }
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
