import type { Entry } from '../repository/component.ts'
import type { Digest } from '../store/digest.ts'
import type { Store } from '../store/store.ts'
import type { Lacking } from './absent.ts'
import { ownDirectory } from './base.ts'
import { readProgram } from './native.ts'
import { plainDirectory, type SegmentPlan } from './plan.ts'

export type OnMiss = 'deny' | 'fetch'

/** Kernel modules of a node that may reach back. */
export const modulesOf: Record<OnMiss, readonly string[]> = { deny: [], fetch: ['fuse', 'overlay'] }

interface Misses {
  readonly plan: SegmentPlan
  /** The text of what the bundle lacks. */
  readonly absent: Digest
}

interface Planned {
  readonly onMiss: OnMiss
  readonly store: Store
  readonly planning: Promise<Misses>
}

/** What the bundle before this one lacked is what this one lacks, mostly. */
const planned = new WeakMap<Lacking, Planned>()

/**
 * What tells of misses on the node: the program that watches and the hashes of the names that it watches for, or the one
 * that reaches back and the tree of what there is to fetch. NATIVE_MISSING when they were not built.
 */
export function planMisses(onMiss: OnMiss, lacking: Lacking, store: Store): Promise<Misses> {
  const known = planned.get(lacking)
  if (known?.onMiss === onMiss && known.store === store) return known.planning
  const planning = plan(onMiss, lacking, store)
  planning.catch(() => planned.delete(lacking))
  planned.set(lacking, { onMiss, store, planning })
  return planning
}

async function plan(onMiss: OnMiss, { text, names }: Lacking, store: Store): Promise<Misses> {
  const directory = `${ownDirectory}/misses`
  const [program, data, content] =
    onMiss === 'fetch' ? (['reach', 'tree', Buffer.from(text)] as const) : (['watch', 'names', names] as const)
  const put = async (name: string, bytes: Uint8Array, mode: number): Promise<Entry> => {
    const digest: Digest = await store.write(bytes)
    return { path: `${directory}/${name}`, type: 'file', mode, uid: 0, gid: 0, size: bytes.length, digest }
  }
  const segment: SegmentPlan = {
    name: 'misses',
    version: '',
    kind: 'misses',
    mtime: 0,
    entries: [
      plainDirectory(ownDirectory),
      plainDirectory(directory, 0o700),
      await put(program, await readProgram(program), 0o700),
      await put(data, content, 0o600),
    ],
  }
  return { plan: segment, absent: await store.write(Buffer.from(text)) }
}
