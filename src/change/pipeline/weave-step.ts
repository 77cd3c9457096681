import type { Profile } from '../../blueprint/profile.ts'
import { select } from '../../blueprint/select.ts'
import type { Selection } from '../../blueprint/selection.ts'
import type { BundleConfig } from '../../compose/bundle-format.ts'
import { compareDebVersions } from '../../repository/deb/version.ts'
import type { Stack } from '../../repository/stack.ts'
import { refreshTrees, type StackUpdate, updateStack } from '../../repository/update.ts'
import { addUpdates, type ChangePart, type ChangeUpdate, updatesOf } from '../../state/changes.ts'
import { channelPointers } from '../../state/channels.ts'
import type { Digest } from '../../store/digest.ts'
import { type AppliedWoven, wovenBlueprint } from '../applied.ts'
import type { Context } from '../context.ts'
import { sourceOf } from '../impact/chunks.ts'
import { observeBlueprint } from '../observe.ts'
import { flawsOf } from '../security.ts'
import { contentOf, selectInput, selectionOf } from '../selected.ts'
import { weave } from '../weave.ts'
import { remember, requestOf, sourcesOf, type Work } from '../work.ts'
import { inputsOf } from './inputs.ts'
import { advance, note, type Stepping } from './part.ts'

/**
 * Takes what the sources have, and weaves a bundle of it at the fast level when a file that the bundle in use keeps
 * differs. All that it makes is named by its content, so done again after a kill it comes to the same.
 */
export async function weaveStep(step: Stepping): Promise<void> {
  const { name, work } = step
  const { context } = work
  const began = performance.now()
  const base = step.part.base ?? (await noteBase(step))
  const applied = await wovenBlueprint(context, name.blueprint)
  const before = base.bundle === null ? undefined : await inputsOf(base.bundle, context)
  const updates = await updatesOf(context.state.redis, name)
  const update = await takeSources(applied, updates, step.part, before?.stack, work)
  await note(step, { stack: update.digest })
  // Until it was replayed, a change of a tree must not publish it by the fast road.
  const news = { stackDigest: update.digest, stackSources: sourcesOf(applied), held: true as const }
  await remember(context, name.blueprint, news)
  await tellUpdates(step, update, updates)
  if (before && !(await differs(applied, update, before, context))) {
    await remember(context, name.blueprint, { held: base.held })
    const why = 'no file that the bundle keeps differs'
    await advance(step, 'unaffected', { why, took: performance.now() - began, note: why })
    return
  }
  await watchAnew(applied, update, work)
  const ready = await wovenBlueprint(context, name.blueprint)
  const selected = await selectionOf(ready, update.stack, update.digest, work)
  const bundle = await weave(ready, update.stack, selected, { level: 'fast' }, work)
  const took = performance.now() - began
  const { digest, woven, seconds, reused } = bundle
  const told = `${woven.length} segments woven in ${seconds.toFixed(2)} s, ${reused} reused`
  await advance(step, 'woven', { bundle: digest, woven: [...woven], weaving: seconds, took, note: told })
}

/** What the blueprint has now, to compare with and to go back to. */
async function noteBase(step: Stepping): Promise<NonNullable<ChangePart['base']>> {
  const { name, work } = step
  const { stable, candidate } = await channelPointers(work.context.state.redis, name.blueprint)
  const { record } = await wovenBlueprint(work.context, name.blueprint)
  const { stackDigest, stackSources, profileDigest, selectionDigest, observationDigest, held } = record
  const known = Object.entries({ stackDigest, stackSources, profileDigest, selectionDigest, observationDigest, held })
  const base = { bundle: stable ?? candidate ?? null, ...Object.fromEntries(known.filter(([, value]) => value)) }
  return (await note(step, { base })).base ?? base
}

/** Trees alone are read in milliseconds, and no mirror is asked. */
async function takeSources(
  applied: AppliedWoven,
  updates: readonly ChangeUpdate[],
  part: ChangePart,
  previous: Digest | undefined,
  { context, progress, signal }: Work,
): Promise<StackUpdate> {
  const { stackDigest } = part.base ?? applied.record
  const onlyTrees = !part.asked && updates.length > 0 && updates.every(({ kind }) => kind === 'tree')
  if (onlyTrees && stackDigest !== undefined && applied.record.stackSources === sourcesOf(applied)) {
    return refreshTrees(stackDigest, applied.blueprint.stack, context, signal)
  }
  const request = await requestOf(applied, context)
  return updateStack({ ...request, previous: previous ?? request.previous }, context, progress, signal)
}

/** Whether a node would see another file, or another kernel. */
async function differs(
  applied: AppliedWoven,
  { digest, stack }: StackUpdate,
  before: BundleConfig['inputs'],
  context: Context,
): Promise<boolean> {
  if (digest === before.stack && applied.record.digest === before.blueprint) return false
  const [old, selection] = await Promise.all([
    context.store.readJson<Stack>(before.stack),
    context.store.readJson<Selection>(before.selection),
  ])
  if (old.kernel.digest !== stack.kernel.digest || old.busybox.digest !== stack.busybox.digest) return true
  if (applied.record.profileDigest === undefined) return true
  const after = await select(await selectInput(applied, stack, digest, context))
  return contentOf(selection) !== contentOf(after)
}

/** A new version of a package may touch other files; a tree's files are looked for by the same names. */
async function watchAnew({ record }: AppliedWoven, { digest, changed }: StackUpdate, work: Work): Promise<void> {
  const { store } = work.context
  const profile = record.profileDigest === undefined ? undefined : await store.readJson<Profile>(record.profileDigest)
  if (profile?.stack === digest) return
  if (profile && changed.every(({ name }) => name.startsWith('/'))) return
  // What was watched is watched anew; what was learned in other ways, over days perhaps, is kept.
  const isLearned = profile?.methods.some((method) => method === 'node' || method === 'fanotify') ?? false
  await observeBlueprint(record.name, { fresh: !isLearned }, work)
}

/** What came of asking the sources, beside what was known before; with the flaws that it mends. */
async function tellUpdates(
  { name, work }: Stepping,
  { changed, stack }: StackUpdate,
  known: readonly ChangeUpdate[],
): Promise<void> {
  const { store, state, directory } = work.context
  const news: ChangeUpdate[] = []
  for (const { name: of, from, to } of changed) {
    const ref = [...stack.components, stack.kernel].find((one) => one.name === of)
    if (!ref || to === undefined || ref.kind === 'configuration') continue
    if (known.some((one) => one.kind === ref.kind && one.name === of)) continue
    const source = sourceOf(await store.readJson(ref.digest))
    const flaws = source ? await flawsOf(directory, source.name) : []
    const mended = flaws.filter(
      ({ source: named, fixed }) =>
        named === source?.name &&
        fixed !== '-' &&
        compareDebVersions(fixed, source.version) <= 0 &&
        (from === undefined || compareDebVersions(fixed, from) > 0),
    )
    const fixes = [...new Set(mended.map(({ cve }) => cve))].sort()
    news.push({ kind: ref.kind, name: of, from: from ?? null, to, files: 0, suites: [], fixes })
  }
  await addUpdates(state.redis, name, news)
}
