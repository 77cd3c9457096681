import { addedFiles } from '../blueprint/added-files.ts'
import { compose } from '../compose/bundle.ts'
import type { Level } from '../compose/bundle-format.ts'
import { selectEverything } from '../compose/full-stack.ts'
import type { Stack } from '../repository/stack.ts'
import { refreshTrees } from '../repository/update.ts'
import { putVerdict, type Verdict } from '../state/replays.ts'
import { canonicalJson, digestOf } from '../store/digest.ts'
import { type AppliedWoven as Applied, wovenBlueprint } from './applied.ts'
import { firmwareWarnings } from './hardware.ts'
import { bootedKernel, kernelNeeds } from './kernel.ts'
import { observeBlueprint } from './observe.ts'
import { openFromTrees } from './pipeline/open.ts'
import { publish } from './publish.ts'
import { type Round, replayBundle, replayFailed, widen } from './replay.ts'
import type { ComposeReport } from './report.ts'
import { type Selected, selectionOf } from './selected.ts'
import { currentStack, remember, rememberStack, sourcesOf, type Work } from './work.ts'

export interface WeaveOptions {
  /** `fast` stops at the level that is published at once; otherwise the thorough one follows. */
  readonly level?: Level | undefined
  /** The whole stack, to compare with: neither published nor listed. */
  readonly full?: boolean | undefined
  /** With `full`: for a node that learns what of it is used. */
  readonly learns?: boolean | undefined
  /** False: published without being replayed. */
  readonly replay?: boolean | undefined
  /** How many times what a replay finds lacking is added, and the bundle woven and replayed anew; 0 unless given. */
  readonly rounds?: number | undefined
  readonly reason: string
}

/**
 * Weaves what the blueprint selects, replays it, and publishes it when that holds: at the fast level at once, then at the
 * thorough one. Whatever is missing on the way (stack, profile) is made first. REPLAY_FAILED: the channels stay.
 */
export async function composeBlueprint(name: string, options: WeaveOptions, work: Work): Promise<ComposeReport> {
  const { context } = work
  if (options.full) return composeEverything(name, options, work)
  const before = await wovenBlueprint(context, name)
  if (before.record.profileDigest === undefined) await observeBlueprint(name, {}, work)
  const rounds: Round[] = []
  for (;;) {
    const applied = await wovenBlueprint(context, name)
    const { stack, digest } = await currentStack(applied, work)
    const selected = await selectionOf(applied, stack, digest, work)
    const fast = await weave(applied, stack, selected, { level: 'fast' }, work)
    const verdict =
      options.replay === false ? undefined : await replayBundle(applied, { stack, digest }, fast.digest, work)
    if (verdict) rounds.push({ bundle: fast.digest, verdict })
    if (verdict?.holds === false) {
      await remember(context, name, { held: true })
      if (verdict.lacking.length === 0 || rounds.length > (options.rounds ?? 0)) throw replayFailed(name, rounds)
      await widen(name, verdict.lacking, work)
      continue
    }
    await remember(context, name, { held: undefined })
    return published(applied, stack, selected, { fast, rounds, verdict }, options, work)
  }
}

interface Replayed {
  readonly fast: ComposeReport
  readonly rounds: readonly Round[]
  readonly verdict: Verdict | undefined
}

/** The same files are in a bundle at each level, so what was found of the first holds for the second. */
async function published(
  applied: Applied,
  stack: Stack,
  selected: Selected,
  { fast, rounds, verdict }: Replayed,
  { level, reason }: WeaveOptions,
  work: Work,
): Promise<ComposeReport> {
  const { context } = work
  const put = async (woven: ComposeReport) => {
    const { digest: bundle, blueprint } = woven
    if (verdict) await putVerdict(context.state.redis, bundle, verdict)
    const publication = { blueprint, bundle, level: woven.level, reason, woven: woven.woven }
    await publish(context, publication, { selection: selected.digest })
    return { ...woven, ...(verdict && { replay: { verdict, rounds } }) }
  }
  const report = await put(fast)
  if (level === 'fast') return report
  return put(await weave(applied, stack, selected, { level: 'thorough' }, work))
}

async function composeEverything(name: string, { level, learns }: WeaveOptions, work: Work): Promise<ComposeReport> {
  const applied = await wovenBlueprint(work.context, name)
  const { stack, digest: stackDigest } = await currentStack(applied, work)
  const { store } = work.context
  const added = await addedFiles(applied.blueprint, store)
  const selection = await selectEverything(stack, stackDigest, name, store, added)
  const everything = { selection, digest: digestOf(canonicalJson(selection)) }
  return weave(applied, stack, everything, { level: level ?? 'fast', full: true, learns }, work)
}

/**
 * A tree of the blueprint changed: reads the trees, weaves what differs at the fast level and publishes it at once
 * (docs/decisions/0016), unless the bundle before it was held back. Of a gated blueprint it opens a change instead.
 */
export async function refreshBlueprint(name: string, work: Work): Promise<ComposeReport | null> {
  const { context, signal } = work
  const applied = await wovenBlueprint(context, name)
  const { record } = applied
  const { stackDigest, profileDigest, selectionDigest } = record
  if (!stackDigest || !profileDigest || !selectionDigest || record.stackSources !== sourcesOf(applied)) return null
  const { digest, stack } = await refreshTrees(stackDigest, applied.blueprint.stack, context, signal)
  if (digest === stackDigest) return null
  if (record.gated) {
    await openFromTrees(context, name, await context.store.readJson<Stack>(stackDigest), stack)
    return null
  }
  await rememberStack(applied, digest, context)
  const reason = 'a tree changed'
  if (record.held) return composeBlueprint(name, { level: 'fast', reason }, work)
  const selected = await selectionOf(applied, stack, digest, work)
  const fast = await weave(applied, stack, selected, { level: 'fast' }, work)
  return published(applied, stack, selected, { fast, rounds: [], verdict: undefined }, { level: 'fast', reason }, work)
}

/** Weaves a bundle of a selection, and publishes nothing. */
export async function weave(
  { blueprint, record }: Applied,
  stack: Stack,
  { selection, digest: selectionDigest }: Selected,
  { level, full, learns }: { level: Level; full?: boolean; learns?: boolean | undefined },
  work: Work,
): Promise<ComposeReport> {
  const { context, progress, signal } = work
  const needs = await kernelNeeds(blueprint, stack, selection, { full, learns }, context)
  const { component: kernel, modules, firmware } = await bootedKernel(blueprint, stack, needs, work)
  const warnings = [...needs.warnings, ...(firmware ? firmwareWarnings(firmware) : [])]
  for (const warning of warnings) context.log.warn({ event: 'hardware', blueprint: blueprint.name, warning })
  const bundle = await compose(
    {
      blueprint,
      blueprintDigest: record.digest,
      stack,
      stackDigest: selection.stack,
      selection,
      selectionDigest,
      kernel: { component: kernel, fragments: needs.lean?.chosen.map(({ name }) => name), drivers: needs.drivers },
      modules,
      ...(firmware ? { firmware: firmware.files } : {}),
      ...(needs.root ? { root: needs.root } : {}),
      level,
      zstdLevel: context.settings.compose[level],
      context,
      ...(full ? { unlisted: true as const } : {}),
      ...(learns ? { learns: true as const } : {}),
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
    root: bundle.root,
    warnings,
    ...(needs.lean ? { kernel: { release: kernel.name, ...needs.lean } } : {}),
    reused: bundle.reused,
    woven: bundle.woven,
    seconds: bundle.seconds,
  }
}
