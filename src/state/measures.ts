import { z } from 'zod'
import type { Digest } from '../store/digest.ts'
import { keys } from './keys.ts'
import { parseRecord } from './record.ts'
import type { Redis } from './redis.ts'

const measureSchema = z.object({
  /** Milliseconds from the boot script to ready. */
  boot: z.number(),
  /** Bytes of RAM in use when it was ready. */
  memory: z.number(),
  /** Bytes of kernel and files, unpacked. */
  size: z.number(),
  /** What was asked over the network, and what came back; the probe first. */
  answers: z.array(
    z.object({
      step: z.string(),
      answer: z
        .object({ status: z.string(), digest: z.string(), lines: z.array(z.string()), text: z.string() })
        .optional(),
    }),
  ),
  /** `qemu NAME`, or the MAC of a canary: figures of two machines are not compared. */
  by: z.string(),
  /** Milliseconds since 1970. */
  at: z.number(),
})

/** What a bundle showed when it was verified. */
export type Measure = Readonly<z.infer<typeof measureSchema>>

/** Of a bundle's content, whatever the level it was woven at; undefined when it was never verified. */
export async function getMeasure(redis: Redis, content: Digest): Promise<Measure | undefined> {
  const json = await redis.hget(keys.measures(), content)
  return json === null ? undefined : parseRecord(measureSchema, json, `${keys.measures()} ${content}`)
}

export async function putMeasure(redis: Redis, content: Digest, measure: Measure): Promise<void> {
  await redis.hset(keys.measures(), content, JSON.stringify(measure))
}
