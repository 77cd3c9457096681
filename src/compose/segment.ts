import type { State } from '../state/redis.ts'
import { getSegment, putSegment, type WovenSegment } from '../state/segments.ts'
import { canonicalJson, digestOf } from '../store/digest.ts'
import type { Store } from '../store/store.ts'
import type { SegmentSummary } from './bundle-format.ts'
import { type CpioMember, writeCpio } from './cpio.ts'
import { weaveFrame } from './frame.ts'
import type { SegmentPlan } from './plan.ts'

/** Raised whenever the bytes woven from the same plan change: segments of an older format are then woven anew. */
const formatVersion = 1

export interface Segment {
  readonly summary: SegmentSummary
  /** False when a segment woven before was taken. */
  readonly woven: boolean
}

/**
 * The segment of a plan: taken when one was woven from the same recipe and its blob is there, woven otherwise. The
 * record is written after the blob, so whatever is killed when, the next run goes on with all that was finished.
 */
export async function weaveSegment(
  plan: SegmentPlan,
  zstdLevel: number,
  context: { readonly store: Store; readonly state: State },
): Promise<Segment> {
  const { redis } = context.state
  const { mtime, entries } = plan
  const recipe = digestOf(canonicalJson({ formatVersion, zstdLevel, mtime, entries: sortedByPath(plan) }))
  const known = await getSegment(redis, recipe)
  if (known && (await context.store.size(known.digest)) === known.size) {
    return { summary: summaryOf(plan, known), woven: false }
  }
  const pieces = writeCpio(await Promise.all(entries.map((entry) => memberOf(entry, context.store))), mtime)
  const archive = Buffer.concat(pieces)
  const frame = await weaveFrame(archive, zstdLevel)
  const record = { digest: await context.store.write(frame), size: frame.length, raw: archive.length }
  await putSegment(redis, recipe, record)
  return { summary: summaryOf(plan, record), woven: true }
}

const sortedByPath = (plan: SegmentPlan) => [...plan.entries].sort((a, b) => (a.path < b.path ? -1 : 1))

async function memberOf(entry: CpioMember & { digest?: string }, store: Store): Promise<CpioMember> {
  if (entry.type !== 'file' || entry.digest === undefined) return entry
  return { ...entry, content: await store.readVerified(entry.digest as Parameters<Store['readVerified']>[0]) }
}

function summaryOf(plan: SegmentPlan, { digest, size, raw }: WovenSegment): SegmentSummary {
  const files = plan.entries.filter(({ type }) => type !== 'dir').length
  return { name: plan.name, version: plan.version, kind: plan.kind, files, raw, size, digest }
}
