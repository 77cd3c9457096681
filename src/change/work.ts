import type { OnProgress } from '../config/progress.ts'
import type { Component } from '../repository/component.ts'
import { loadComponent } from '../repository/recorded.ts'
import type { Stack } from '../repository/stack.ts'
import { refreshTrees, updateStack } from '../repository/update.ts'
import { type BlueprintRecord, updateBlueprint } from '../state/blueprints.ts'
import { pinsInForce } from '../state/pins.ts'
import { canonicalJson, type Digest, digestOf } from '../store/digest.ts'
import type { AppliedWoven as Applied } from './applied.ts'
import type { Context } from './context.ts'

/** One blueprint under work: what is known of it grows from step to step and is written down at each. */
export interface Work {
  readonly context: Context
  readonly progress: OnProgress
  readonly signal: AbortSignal
}

/** The stack as last resolved, its trees as they are now; resolved and installed when there is none. */
export async function currentStack(applied: Applied, work: Work): Promise<{ stack: Stack; digest: Digest }> {
  const { context, progress, signal } = work
  const { blueprint, record } = applied
  const found =
    record.stackDigest && record.stackSources === sourcesOf(applied)
      ? await refreshTrees(record.stackDigest, blueprint.stack, context, signal)
      : await updateStack(await requestOf(applied, context), context, progress, signal)
  if (found.digest !== record.stackDigest) await rememberStack(applied, found.digest, context)
  return found
}

/** What the sources are asked for; pinned packages stay where they are. */
export async function requestOf({ blueprint: { stack, kernel }, record }: Applied, { state }: Context) {
  const own = (await pinsInForce(state.redis)).filter((pin) => pin.blueprint === record.name)
  const pins = own.map(({ package: name, version }) => ({ name, version }))
  return { stack, kernel, pins, previous: record.stackDigest }
}

/** Of all that decides which stack a blueprint has, but the versions. */
export const sourcesOf = ({ blueprint: { stack, kernel } }: Applied): Digest =>
  digestOf(canonicalJson({ stack, flavour: kernel.flavour, ...(kernel.repack ? { repack: true } : {}) }))

export function rememberStack(applied: Applied, stackDigest: Digest, context: Context): Promise<BlueprintRecord> {
  return remember(context, applied.record.name, { stackDigest, stackSources: sourcesOf(applied) })
}

/** In the stack's order. */
export const componentsOf = (stack: Stack, { store }: Context): Promise<Component[]> =>
  Promise.all(stack.components.map((ref) => loadComponent(ref, store)))

/** Adds to what is known of a blueprint. */
export function remember(context: Context, name: string, news: Partial<BlueprintRecord>): Promise<BlueprintRecord> {
  return updateBlueprint(context.state.redis, name, (current) => ({ ...current!, ...news, updatedAt: Date.now() }))
}
