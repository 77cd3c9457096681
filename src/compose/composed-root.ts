import type { BundleConfig } from './bundle-format.ts'
import type { SegmentPlan } from './plan.ts'
import { isImaged, memoryOf, type RootChoice } from './root.ts'

/** Bytes of the packages on a node. */
export interface ComposedRoot extends RootChoice {
  /** On the wire. */
  readonly wire: number
  /** That they take before anything is read of them. */
  readonly memory: number
}

/** Paths in an image, directories not counted. */
export const filesIn = (plans: readonly SegmentPlan[]): number =>
  plans.reduce((sum, { entries }) => sum + entries.filter(({ type }) => type !== 'dir').length, 0)

/** How the packages stand on the node, with what that comes to. */
export function rootOf(
  choice: RootChoice = { format: 'files', why: 'a full stack' },
  plans: readonly SegmentPlan[],
  { segments }: Pick<BundleConfig, 'segments'>,
): ComposedRoot {
  const theirs = plans.flatMap((plan, index) =>
    plan.image || isImaged(plan) ? [{ plan, segment: segments[index]! }] : [],
  )
  const sum = (of: (one: (typeof theirs)[number]) => number) => theirs.reduce((total, one) => total + of(one), 0)
  return {
    ...choice,
    wire: sum(({ segment }) => segment.size),
    memory: sum(({ plan, segment }) => (plan.image ? segment.raw : memoryOf(plan.entries))),
  }
}
