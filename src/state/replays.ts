import { z } from 'zod'
import type { Digest } from '../store/digest.ts'
import { keys } from './keys.ts'
import { parseRecord } from './record.ts'
import type { Redis } from './redis.ts'

const text = z.string()

const verdictSchema = z.object({
  holds: z.boolean(),
  /** Steps that went another way than in the full stack. */
  differences: z.array(z.object({ step: text, detail: text })).readonly(),
  /** What the stack has, the bundle lacks and the application asked for, and which component would mend it. */
  lacking: z
    .array(
      z.object({
        path: text,
        /** Of a file that is kept by page. */
        pages: text.optional(),
        component: text,
        version: text,
        process: text,
        call: text,
      }),
    )
    .readonly(),
  /** The same of what the blueprint drops. */
  dropped: z.array(text).readonly(),
  seconds: z.number(),
  /** Milliseconds since 1970. */
  at: z.number(),
})

/** What replaying a bundle found. */
export type Verdict = Readonly<z.infer<typeof verdictSchema>>

/** Of the newest replay of a bundle; undefined when it was never replayed. */
export async function getVerdict(redis: Redis, bundle: Digest): Promise<Verdict | undefined> {
  const json = await redis.hget(keys.replays(), bundle)
  return json === null ? undefined : parseRecord(verdictSchema, json, `${keys.replays()} ${bundle}`)
}

export async function putVerdict(redis: Redis, bundle: Digest, verdict: Verdict): Promise<void> {
  await redis.hset(keys.replays(), bundle, JSON.stringify(verdict))
}
