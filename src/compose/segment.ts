import { availableParallelism } from 'node:os'
import type { Entry } from '../repository/component.ts'
import { eachOf } from '../repository/each.ts'
import type { State } from '../state/redis.ts'
import { getSegments, putSegment, type WovenSegment } from '../state/segments.ts'
import { canonicalJson, type Digest, digestOf } from '../store/digest.ts'
import type { Store } from '../store/store.ts'
import type { SegmentSummary } from './bundle-format.ts'
import { type CpioMember, writeCpio } from './cpio.ts'
import { weaveFrame, weaveStored } from './frame.ts'
import { archivedImage, imageRecipe } from './image.ts'
import type { SegmentPlan } from './plan.ts'

/** Raised whenever the bytes woven from the same plan change: segments of an older format are then woven anew. */
const formatVersion = 1

interface Segment {
  readonly summary: SegmentSummary
  /** False when a segment woven before was taken. */
  readonly woven: boolean
}

interface Woven {
  /** In the order of the plans. */
  readonly segments: readonly Segment[]
  /** Comes true once all of them are on the disk. */
  readonly stored: Promise<unknown>
  /** Comes true once all of them are known by their recipes, so that nobody weaves them again. */
  readonly recorded: Promise<unknown>
}

/**
 * The segments of the plans: taken where one was woven from the same recipe and its blob is there, woven otherwise. The
 * record is written after the blob, so whatever is killed when, the next run goes on with all that was finished.
 */
export async function weaveSegments(
  plans: readonly SegmentPlan[],
  zstdLevel: number,
  context: { readonly store: Store; readonly state: State },
  { signal, done }: { readonly signal?: AbortSignal | undefined; readonly done: (name: string) => void },
): Promise<Woven> {
  const recipes = plans.map((plan) => recipeOf(plan, zstdLevel))
  const known = await knownSegments(recipes, context)
  const storing: Promise<unknown>[] = []
  const recording: Promise<unknown>[] = []
  const segments = new Array<Segment>(plans.length)
  const weaving = eachOf(plans, availableParallelism(), async (plan, index) => {
    // What was woven goes to the disk while the next is compressed; a full disk shows here.
    await Promise.all(storing)
    signal?.throwIfAborted()
    const taken = known[index]
    if (taken) {
      segments[index] = { summary: summaryOf(plan, taken), woven: false }
    } else {
      const { record, stored } = await weave(plan, zstdLevel, context.store, signal)
      const recorded = stored.then(() => putSegment(context.state.redis, recipes[index]!, record))
      // Looked at by whoever comes next; until then it must not count as unhandled.
      for (const promise of [stored, recorded]) promise.catch(() => {})
      storing.push(stored)
      recording.push(recorded)
      segments[index] = { summary: summaryOf(plan, record), woven: true }
    }
    done(plan.name)
  })
  await weaving.catch((error) => Promise.allSettled(recording).then(() => Promise.reject(error)))
  return { segments, stored: allSettled(storing), recorded: allSettled(recording) }
}

/** Fails as soon as nothing is under way any more: whoever hears of it may end this process. */
async function allSettled(promises: readonly Promise<unknown>[]): Promise<void> {
  await Promise.allSettled(promises)
  await Promise.all(promises)
}

function recipeOf(plan: SegmentPlan, zstdLevel: number): Digest {
  const made = plan.image ? imageRecipe(plan.image) : { mtime: plan.mtime, entries: sortedByPath(plan) }
  return digestOf(canonicalJson({ formatVersion, zstdLevel, ...made }))
}

async function knownSegments(
  recipes: readonly Digest[],
  { store, state }: { readonly store: Store; readonly state: State },
): Promise<(WovenSegment | undefined)[]> {
  const records = await getSegments(state.redis, recipes)
  return records.map((record) => (record && store.sizeNow(record.digest) === record.size ? record : undefined))
}

async function weave(
  { entries, mtime, image }: SegmentPlan,
  zstdLevel: number,
  store: Store,
  signal?: AbortSignal,
): Promise<{ record: WovenSegment; stored: Promise<unknown> }> {
  const members = image
    ? await archivedImage(image, zstdLevel, store, signal)
    : entries.map((entry) => memberOf(entry, store))
  const archive = Buffer.concat(writeCpio(members, mtime))
  // An image is compressed already.
  const frame = await (image ? weaveStored(archive) : weaveFrame(archive, zstdLevel))
  const record = { digest: digestOf(frame), size: frame.length, raw: archive.length }
  return { record, stored: store.write(frame) }
}

const sortedByPath = (plan: SegmentPlan) => [...plan.entries].sort((a, b) => (a.path < b.path ? -1 : 1))

function memberOf(entry: Entry, store: Store): CpioMember {
  if (entry.type !== 'file' || entry.digest === undefined) return entry
  return { ...entry, content: store.readNow(entry.digest) }
}

function summaryOf(plan: SegmentPlan, { digest, size, raw }: WovenSegment): SegmentSummary {
  const files = plan.entries.filter(({ type }) => type !== 'dir').length
  return { name: plan.name, version: plan.version, kind: plan.kind, files, raw, size, digest }
}
