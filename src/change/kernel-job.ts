import { BootloomError } from '../config/errors.ts'
import type { Stack } from '../repository/stack.ts'
import { wovenBlueprint } from './applied.ts'
import type { Context } from './context.ts'
import { bootedKernel, type KernelNeeds, kernelNeeds } from './kernel.ts'
import { observeBlueprint } from './observe.ts'
import type { LeanReport } from './report.ts'
import { selectionOf } from './selected.ts'
import { currentStack, type Work } from './work.ts'

/**
 * Builds the kernel that the blueprint's next bundle boots, ahead of composing it; what it builds on (stack, profile) is
 * made first where it is missing. USAGE when its kernel is Debian's.
 */
export async function buildKernel(name: string, work: Work): Promise<LeanReport> {
  const { context } = work
  const before = await wovenBlueprint(context, name)
  const { flavour, repack } = before.blueprint.kernel
  if (flavour !== 'lean' && !repack) {
    throw new BootloomError('USAGE', `the kernel of ${name} is Debian's: there is nothing to build`, {
      hint: 'Write `kernel: { flavour: lean }` or `repack: true` in the blueprint.',
    })
  }
  if (before.record.profileDigest === undefined) await observeBlueprint(name, {}, work)
  const applied = await wovenBlueprint(context, name)
  const { stack, digest } = await currentStack(applied, work)
  const { selection } = await selectionOf(applied, stack, digest, work)
  const needs = await kernelNeeds(applied.blueprint, stack, selection, {}, context)
  const { component } = await bootedKernel(applied.blueprint, stack, needs, work)
  return { release: component.name, chosen: [], unserved: [], ...needs.lean }
}

/** What the lean kernel of a blueprint is configured with, as it was composed last; NOT_COMPOSED, USAGE. */
export async function leanNeedsOf(name: string, context: Context): Promise<NonNullable<KernelNeeds['lean']>> {
  const { blueprint, record } = await wovenBlueprint(context, name)
  const { stackDigest, selectionDigest } = record
  if (!stackDigest || !selectionDigest) {
    throw new BootloomError('NOT_COMPOSED', `${name} has no selection yet`, {
      hint: `Run \`bootloom compose ${name}\`.`,
    })
  }
  const [stack, selection] = await Promise.all([
    context.store.readJson<Stack>(stackDigest),
    context.store.readJson<Parameters<typeof kernelNeeds>[2]>(selectionDigest),
  ])
  const { lean } = await kernelNeeds(blueprint, stack, selection, {}, context)
  if (lean) return lean
  throw new BootloomError('USAGE', `the kernel of ${name} is Debian's: it has no fragments`)
}
