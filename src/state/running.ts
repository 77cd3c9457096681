import type { Digest } from '../store/digest.ts'
import { keys } from './keys.ts'
import type { Redis } from './redis.ts'

const bundleOf = /"bundle":"(sha256:[0-9a-f]{64})"/

/** Bundle → the MACs of the nodes that were last ready with it: what they run, for who asks of thousands at once. */
export async function runningNodes(redis: Redis): Promise<Map<Digest, string[]>> {
  const found = new Map<Digest, string[]>()
  // As Redis sends it, and of each record one field: objects of thousands of names cost more than the rest of a question.
  const flat = (await redis.call('HGETALL', keys.runs())) as string[]
  for (let at = 0; at < flat.length; at += 2) {
    const bundle = bundleOf.exec(flat[at + 1]!)?.[1] as Digest | undefined
    if (bundle === undefined) continue
    const known = found.get(bundle)
    if (known) known.push(flat[at]!)
    else found.set(bundle, [flat[at]!])
  }
  return found
}
