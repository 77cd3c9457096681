import type { Digest } from '../store/digest.ts'
import type { Store } from '../store/store.ts'
import { ownDirectory } from './base.ts'
import { readProgram } from './native.ts'
import { plainDirectory, type SegmentPlan } from './plan.ts'

/** What tells the server on a node which files are touched (boot/native/learn.c). NATIVE_MISSING. */
export async function planLearning(store: Store): Promise<SegmentPlan> {
  const program = await readProgram('learn')
  const common = { mode: 0o700, uid: 0, gid: 0, size: program.length } as const
  return {
    name: 'learn',
    version: '',
    kind: 'learn',
    mtime: 0,
    entries: [
      plainDirectory(ownDirectory),
      { ...common, path: `${ownDirectory}/learn`, type: 'file', digest: await store.write(program) },
    ],
  }
}

/** Every path that a node with these segments may tell of, as JSON. */
export function writeLearnable(plans: readonly SegmentPlan[], store: Store): Promise<Digest> {
  const paths = new Set(plans.flatMap(({ entries }) => entries.map(({ path }) => path)))
  return store.writeJson([...paths].filter((path) => !path.startsWith(`${ownDirectory}/`)).sort())
}
