import { z } from 'zod'
import { type Digest, isDigest } from '../store/digest.ts'
import { keys } from './keys.ts'
import { parseRecord } from './record.ts'
import type { Redis } from './redis.ts'

const builtSchema = z.object({
  /** Of all that its bytes follow from. */
  key: z.string(),
  component: z.custom<Digest>((value) => typeof value === 'string' && isDigest(value)),
  release: z.string(),
  /** Of the source package. */
  version: z.string(),
  kind: z.enum(['lean', 'repacked']),
  /** Of the image. */
  bytes: z.int(),
  /** Fragments that it was configured with; none of a repacked one. */
  fragments: z.array(z.string()).readonly(),
  /** How long its build took. */
  seconds: z.number(),
  /** Milliseconds since 1970. */
  at: z.int(),
})

/** A kernel that was built here. Derived: losing these records costs building anew, nothing else. */
export type BuiltKernel = Readonly<z.infer<typeof builtSchema>>

export async function getBuiltKernel(redis: Redis, key: string): Promise<BuiltKernel | undefined> {
  const json = await redis.hget(keys.kernels(), key)
  return json === null ? undefined : parseRecord(builtSchema, json, `${keys.kernels()} ${key}`)
}

export async function putBuiltKernel(redis: Redis, built: BuiltKernel): Promise<void> {
  await redis.hset(keys.kernels(), built.key, JSON.stringify(built))
}

/** Newest first. */
export async function listBuiltKernels(redis: Redis): Promise<BuiltKernel[]> {
  const found = Object.entries(await redis.hgetall(keys.kernels()))
  return found
    .map(([key, json]) => parseRecord(builtSchema, json, `${keys.kernels()} ${key}`))
    .sort((a, b) => b.at - a.at)
}
