import { observe } from '../blueprint/observe/observe.ts'
import type { Profile } from '../blueprint/profile.ts'
import { select } from '../blueprint/select.ts'
import type { Selection } from '../blueprint/selection.ts'
import { compose } from '../compose/bundle.ts'
import type { Level } from '../compose/bundle-format.ts'
import { selectEverything } from '../compose/full-stack.ts'
import type { OnProgress } from '../config/progress.ts'
import { modulesFor } from '../repository/kernel.ts'
import { loadComponent } from '../repository/recorded.ts'
import type { Stack } from '../repository/stack.ts'
import { ensureInstalled, refreshTrees, updateStack } from '../repository/update.ts'
import { type BlueprintRecord, updateBlueprint } from '../state/blueprints.ts'
import { canonicalJson, type Digest, digestOf } from '../store/digest.ts'
import { type AppliedWoven as Applied, wovenBlueprint } from './applied.ts'
import type { Context } from './context.ts'
import { publish } from './publish.ts'
import type { ComposeReport, ObserveReport, UpdateReport } from './report.ts'

/** One blueprint under work: what is known of it grows from step to step and is written down at each. */
export interface Work {
  readonly context: Context
  readonly progress: OnProgress
  readonly signal: AbortSignal
}

/** Watches the application run and keeps the profile; the stack is brought up first when there is none. */
export async function observeBlueprint(name: string, work: Work): Promise<ObserveReport> {
  const { context, progress, signal } = work
  const applied = await wovenBlueprint(context, name)
  const { stack, digest } = await currentStack(applied, work)
  const root = await ensureInstalled(stack, context, progress, signal)
  const trees = await Promise.all(
    stack.components.filter(({ kind }) => kind === 'tree').map((ref) => loadComponent(ref, context.store)),
  )
  const { blueprint } = applied
  const { store, log } = context
  const input = { blueprint, stackDigest: digest, root, trees, store, log }
  const { profile, record } = await observe(input, progress, signal)
  const profileDigest = await store.writeJson(profile)
  await remember(context, name, { profileDigest })
  return {
    blueprint: name,
    profile: profileDigest,
    stack: digest,
    paths: profile.paths.length,
    seconds: record.seconds.total,
  }
}

interface WeaveOptions {
  /** `fast` stops at the level that is published at once; otherwise the thorough one follows. */
  readonly level?: Level | undefined
  /** The whole stack, to compare with: neither published nor listed. */
  readonly full?: boolean | undefined
  readonly reason: string
}

/**
 * Weaves what the blueprint selects and publishes it: at the fast level at once, then at the thorough one. Whatever is
 * missing on the way (stack, profile) is made first.
 */
export async function composeBlueprint(name: string, options: WeaveOptions, work: Work): Promise<ComposeReport> {
  const { context } = work
  let applied = await wovenBlueprint(context, name)
  if (!options.full && applied.record.profileDigest === undefined) {
    await observeBlueprint(name, work)
    applied = await wovenBlueprint(context, name)
  }
  const { stack, digest: stackDigest } = await currentStack(applied, work)
  if (options.full) {
    const selection = await selectEverything(stack, stackDigest, name, context.store)
    const everything = { selection, digest: digestOf(canonicalJson(selection)) }
    return weave(applied, stack, everything, { level: options.level ?? 'fast', full: true }, work)
  }
  const selection = await selectionOf(applied, stack, stackDigest, work)
  const fast = await weaveAndPublish(applied, stack, selection, { level: 'fast', reason: options.reason }, work)
  if (options.level === 'fast') return fast
  return weaveAndPublish(applied, stack, selection, { level: 'thorough', reason: options.reason }, work)
}

/**
 * Asks the sources for newer versions. The bundle is woven anew only when a file that it selects differs; the
 * application is then watched again, for a new version may touch other files.
 */
export async function updateBlueprintStack(name: string, work: Work): Promise<UpdateReport> {
  const { context, progress, signal } = work
  const started = performance.now()
  const applied = await wovenBlueprint(context, name)
  const { record } = applied
  const { digest, stack, changed } = await updateStack(requestOf(applied), context, progress, signal)
  await rememberStack(applied, digest, context)
  const versions = changed.map(({ name, from, to }) => ({ name, from: from ?? null, to: to ?? null }))
  const report = { blueprint: name, stack: digest, changed: versions }
  const seconds = () => (performance.now() - started) / 1000
  if (record.profileDigest === undefined || record.selectionDigest === undefined) {
    return { ...report, verdict: 'not-woven', seconds: seconds() }
  }
  if (digest === record.stackDigest) return { ...report, verdict: 'unchanged', seconds: seconds() }
  const before = await context.store.readJson<Selection>(record.selectionDigest)
  const after = await select(await selectInput(applied, stack, digest, context))
  const kernelMoved = changed.some((change) => change.name === stack.kernel.name)
  if (!kernelMoved && contentOf(before) === contentOf(after))
    return { ...report, verdict: 'unaffected', seconds: seconds() }
  await observeBlueprint(name, work)
  const reason = versions
    .map(({ name, to }) => `${name} ${to ?? 'gone'}`)
    .join(', ')
    .slice(0, 200)
  const { digest: bundle } = await composeBlueprint(name, { reason }, work)
  return { ...report, verdict: 'woven', bundle, seconds: seconds() }
}

/** A tree of the blueprint changed: reads the trees, weaves what differs at the fast level and publishes it. */
export async function refreshBlueprint(name: string, work: Work): Promise<ComposeReport | null> {
  const { context, signal } = work
  const applied = await wovenBlueprint(context, name)
  const { record } = applied
  const { stackDigest, profileDigest, selectionDigest } = record
  if (!stackDigest || !profileDigest || !selectionDigest || record.stackSources !== sourcesOf(applied)) return null
  const { digest, stack } = await refreshTrees(stackDigest, applied.blueprint.stack, context, signal)
  if (digest === stackDigest) return null
  await rememberStack(applied, digest, context)
  const selection = await selectionOf(applied, stack, digest, work)
  return weaveAndPublish(applied, stack, selection, { level: 'fast', reason: 'a tree changed' }, work)
}

/** The stack as last resolved, its trees as they are now; resolved and installed when there is none. */
async function currentStack(applied: Applied, work: Work): Promise<{ stack: Stack; digest: Digest }> {
  const { context, progress, signal } = work
  const { blueprint, record } = applied
  const found =
    record.stackDigest && record.stackSources === sourcesOf(applied)
      ? await refreshTrees(record.stackDigest, blueprint.stack, context, signal)
      : await updateStack(requestOf(applied), context, progress, signal)
  if (found.digest !== record.stackDigest) await rememberStack(applied, found.digest, context)
  return found
}

const requestOf = ({ blueprint: { stack, kernel }, record }: Applied) => ({
  stack,
  kernel,
  previous: record.stackDigest,
})

/** Of all that decides which stack a blueprint has, but the versions. */
const sourcesOf = ({ blueprint: { stack, kernel } }: Applied): Digest =>
  digestOf(canonicalJson({ stack, flavour: kernel.flavour }))

function rememberStack(applied: Applied, stackDigest: Digest, context: Context): Promise<BlueprintRecord> {
  return remember(context, applied.record.name, { stackDigest, stackSources: sourcesOf(applied) })
}

interface Selected {
  readonly selection: Selection
  readonly digest: Digest
}

async function selectionOf(applied: Applied, stack: Stack, stackDigest: Digest, work: Work): Promise<Selected> {
  const { context, progress } = work
  progress({ step: 'select' })
  const selection = await select(await selectInput(applied, stack, stackDigest, context))
  const digest = await context.store.writeJson(selection)
  await remember(context, applied.record.name, { selectionDigest: digest })
  return { selection, digest }
}

async function selectInput({ blueprint, record }: Applied, stack: Stack, stackDigest: Digest, context: Context) {
  const { store } = context
  const profileDigest = record.profileDigest!
  return {
    blueprint,
    stackDigest,
    stack,
    components: await Promise.all(stack.components.map((ref) => loadComponent(ref, store))),
    profile: await store.readJson<Profile>(profileDigest),
    profileDigest,
    store,
  }
}

async function weaveAndPublish(
  applied: Applied,
  stack: Stack,
  selected: Selected,
  { level, reason }: { level: Level; reason: string },
  work: Work,
): Promise<ComposeReport> {
  const { digest: bundle, blueprint, woven, ...rest } = await weave(applied, stack, selected, { level }, work)
  await publish(work.context, { blueprint, bundle, level, reason, woven }, { selection: selected.digest })
  return { digest: bundle, blueprint, woven, ...rest }
}

async function weave(
  { blueprint, record }: Applied,
  stack: Stack,
  { selection, digest: selectionDigest }: Selected,
  { level, full }: { level: Level; full?: boolean },
  { context, progress, signal }: Work,
): Promise<ComposeReport> {
  const kernel = await loadComponent(stack.kernel, context.store)
  const bundle = await compose(
    {
      blueprint,
      blueprintDigest: record.digest,
      stack,
      stackDigest: selection.stack,
      selection,
      selectionDigest,
      modules: await modulesFor(kernel, context.store, blueprint.kernel.modules),
      level,
      zstdLevel: context.settings.compose[level],
      context,
      ...(full ? { unlisted: true as const } : {}),
    },
    (event) => progress({ ...event, step: `weave ${level}` }),
    signal,
  )
  const { config, summary } = bundle
  return {
    digest: bundle.digest,
    blueprint: blueprint.name,
    level,
    rows: config.segments.map((row) => ({ ...row, reused: !bundle.woven.includes(row.name) })),
    totals: { files: summary.files, raw: summary.rawBytes, size: summary.initramfsBytes, kernel: summary.kernelBytes },
    fullStack: config.fullStack,
    reused: bundle.reused,
    woven: bundle.woven,
    seconds: bundle.seconds,
  }
}

function remember(context: Context, name: string, news: Partial<BlueprintRecord>): Promise<BlueprintRecord> {
  return updateBlueprint(context.state.redis, name, (current) => ({ ...current!, ...news, updatedAt: Date.now() }))
}

/** What a selection puts on a node, whatever versions it comes from and why. */
function contentOf(selection: Selection): string {
  const files = selection.parts.flatMap((part) => part.files.map(({ reason: _, ...entry }) => entry))
  return canonicalJson(files.sort((a, b) => (a.path < b.path ? -1 : 1)))
}
