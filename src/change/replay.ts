import type { ObservationRecord } from '../blueprint/observe/observe.ts'
import { replay } from '../blueprint/replay/replay.ts'
import type { Selection, Widened } from '../blueprint/selection.ts'
import { servicesOf } from '../blueprint/services.ts'
import type { BundleConfig, BundleManifest } from '../compose/bundle-format.ts'
import { pagesDirectory, pagesTree } from '../compose/pages.ts'
import { unpackBundle } from '../compose/unpack.ts'
import { BootloomError } from '../config/errors.ts'
import type { Stack } from '../repository/stack.ts'
import { ensureInstalled } from '../repository/update.ts'
import { updateBlueprint } from '../state/blueprints.ts'
import { addEvent } from '../state/events.ts'
import { getVerdict, putVerdict, type Verdict } from '../state/replays.ts'
import { type Digest, shortDigest } from '../store/digest.ts'
import type { AppliedWoven as Applied } from './applied.ts'
import { allComponentsOf, watchStack } from './observe.ts'
import { componentsOf, type Work } from './work.ts'

/** One bundle woven and replayed on the way to one that holds. */
export interface Round {
  readonly bundle: Digest
  readonly verdict: Verdict
}

/**
 * What comes of running the application from a bundle's exact files, recorded with the bundle. One that held is not
 * replayed again.
 */
export async function replayBundle(
  applied: Applied,
  stacked: { readonly stack: Stack; readonly digest: Digest },
  bundle: Digest,
  work: Work,
): Promise<Verdict> {
  const { context, progress, signal } = work
  const { store, log, state } = context
  const known = await getVerdict(state.redis, bundle)
  if (known?.holds) return known
  const { blueprint } = applied
  const { stack } = stacked
  const again = async () => (await watchStack(applied, stacked, {}, work)).record
  const services = await servicesOf(blueprint, await componentsOf(stack, context), store)
  const manifest = await store.readJson<BundleManifest>(bundle)
  const input = {
    ...{ blueprint, services, log, again },
    root: await ensureInstalled(stack, context, progress, signal),
    unpack: (root: string) => unpackBundle(manifest, store, root),
    paged: await pagedOf(manifest, context),
    components: await allComponentsOf(applied, stack, work),
    expected: (await lastObservation(applied, stacked.digest, work)) ?? (await again()),
  }
  const { differences, ...found } = await replay(input, progress, signal)
  const verdict = { ...found, differences: differences.map(({ step, detail }) => ({ step, detail })), at: Date.now() }
  await putVerdict(state.redis, bundle, verdict)
  if (!verdict.holds) {
    const lacking = verdict.lacking.slice(0, 100).map(({ path }) => path)
    await addEvent(state.redis, { event: 'replay-failed', blueprint: blueprint.name, bundle, lacking })
  }
  return verdict
}

async function pagedOf(manifest: BundleManifest, { store }: Work['context']) {
  const { inputs } = await store.readJson<BundleConfig>(manifest.config.digest)
  const { parts } = await store.readJson<Selection>(inputs.selection)
  const paths = parts.flatMap(({ files }) => files.flatMap(({ path, pages }) => (pages === undefined ? [] : [path])))
  return paths.length === 0 ? undefined : { tree: pagesTree, pages: pagesDirectory, paths }
}

/** Of the same stack: another site, or another version, may answer otherwise. A node tells no answers. */
async function lastObservation({ record }: Applied, stack: Digest, { context: { store } }: Work) {
  if (record.observationDigest === undefined) return undefined
  const observation = await store.readJson<ObservationRecord>(record.observationDigest)
  return observation.stack === stack && !observation.methods.includes('node') ? observation : undefined
}

/** Keeps what a replay found lacking, from now on. */
export async function widen(name: string, lacking: Verdict['lacking'], { context, progress }: Work): Promise<void> {
  const { redis } = context.state
  const paths = lacking.map(({ path }) => path)
  progress({ step: 'widen', detail: `${paths.length} files: ${paths.join(', ')}`.slice(0, 300) })
  const at = Date.now()
  await updateBlueprint(redis, name, (current) => {
    const before: readonly Widened[] = current!.widened ?? []
    const news = lacking
      .filter(({ path, pages }) => !before.some((one) => one.path === path && one.pages === pages))
      .map(({ path, pages }) => ({ path, ...(pages === undefined ? {} : { pages }), by: 'replay', at }))
    return { ...current!, widened: [...before, ...news], updatedAt: at }
  })
  await addEvent(redis, { event: 'blueprint-widened', blueprint: name, paths: paths.slice(0, 100), by: 'replay' })
}

/** Most lines of an error. */
const longest = 60

export function replayFailed(name: string, rounds: readonly Round[]): BootloomError {
  const last = rounds.at(-1)!
  const { lacking, differences } = last.verdict
  const lines = rounds.flatMap(({ bundle, verdict }, index) => [
    ...(rounds.length === 1 ? [] : [`round ${index + 1}, bundle ${shortDigest(bundle)}:`]),
    ...verdictLines(verdict),
  ])
  const message =
    lacking.length > 0
      ? `${name} asked its bundle for ${lacking.length} files that only the full stack has`
      : `${name} does not do from its bundle what it does in its full stack`
  return new BootloomError('REPLAY_FAILED', message, {
    where: name,
    details: lines.length > longest ? [...lines.slice(0, longest), `… and ${lines.length - longest} more`] : lines,
    ...(lacking.length === 0 && differences.length > 0
      ? { hint: 'No file that it asked for in vain explains this: `keep` what it needs, or compose with --no-replay.' }
      : {}),
  })
}

/** What a replay found, a line each. */
const verdictLines = ({ lacking, differences, dropped }: Verdict): string[] => [
  ...lacking.map(({ path, pages, component, version, process, call }) => {
    const what = pages === undefined ? path : `pages ${pages} of ${path}`
    return `lacks ${what} of ${component} ${version} (${call} by ${process})`
  }),
  ...differences.flatMap(({ step, detail }) => `${step}: ${detail}`.split('\n')),
  ...dropped.map((path) => `${path} was asked for too, which the blueprint drops`),
]
