import { addedFiles } from '../blueprint/added-files.ts'
import { largeFiles } from '../blueprint/large.ts'
import { type Method, type Observation, type ObservationRecord, observe } from '../blueprint/observe/observe.ts'
import { uniteRead } from '../blueprint/pages.ts'
import { type Profile, unite } from '../blueprint/profile.ts'
import { servicesOf } from '../blueprint/services.ts'
import type { Stack } from '../repository/stack.ts'
import { ensureInstalled } from '../repository/update.ts'
import type { Digest } from '../store/digest.ts'
import { type AppliedWoven as Applied, wovenBlueprint } from './applied.ts'
import type { ObserveReport } from './report.ts'
import { componentsOf, currentStack, remember, type Work } from './work.ts'

export interface ObserveOptions {
  readonly method?: Method | undefined
  /** Forgets what earlier runs found, instead of adding to it. */
  readonly fresh?: boolean | undefined
  /** Tells each path as it is touched, as progress of the step `touched`. */
  readonly watch?: boolean | undefined
}

/**
 * Watches the application run and adds what it touched to the profile; the stack is brought up first when there is none.
 */
export async function observeBlueprint(name: string, options: ObserveOptions, work: Work): Promise<ObserveReport> {
  const applied = await wovenBlueprint(work.context, name)
  const { stack, digest } = await currentStack(applied, work)
  return keepObservation(applied, await watchStack(applied, { stack, digest }, options, work), options, work)
}

/** Adds what was found to what is known of the blueprint. */
export async function keepObservation(
  { record: { name, profileDigest: known, observationDigest: last } }: Applied,
  { profile: found, record }: Observation,
  { fresh }: Pick<ObserveOptions, 'fresh'>,
  { context }: Work,
): Promise<ObserveReport> {
  const { store } = context
  const before = known === undefined ? undefined : await store.readJson<Profile>(known)
  const profile = before && !fresh ? unite(before, found) : found
  const earlier = fresh || last === undefined ? undefined : await store.readJson<ObservationRecord>(last)
  // A node tells nothing to compare a replay with: what an earlier run told of that stays.
  const told = earlier && record.methods.includes('node') ? earlier : record
  // Who touched a path first stays, also where this run did not touch it.
  const observation = {
    ...told,
    first: { ...record.first, ...earlier?.first },
    pages: uniteRead(earlier?.pages, record.pages),
  }
  const [profileDigest, observationDigest] = await Promise.all([store.writeJson(profile), store.writeJson(observation)])
  await remember(context, name, { profileDigest, observationDigest })
  const paths = new Set(before?.paths.map(({ path }) => path))
  return {
    blueprint: name,
    profile: profileDigest,
    stack: found.stack,
    methods: profile.methods,
    paths: profile.paths.length,
    added: before ? found.paths.flatMap(({ path }) => (paths.has(path) ? [] : [path])) : null,
    seconds: record.seconds.total,
  }
}

/** Watches the application run in a stack, and remembers nothing. */
export async function watchStack(
  { blueprint }: Applied,
  { stack, digest }: { readonly stack: Stack; readonly digest: Digest },
  { method, watch }: ObserveOptions,
  { context, progress, signal }: Work,
): Promise<Observation> {
  const root = await ensureInstalled(stack, context, progress, signal)
  const { store, log } = context
  const components = await componentsOf(stack, context)
  const trees = components.filter(({ kind }) => kind === 'tree')
  const services = await servicesOf(blueprint, components, store)
  const onTouched = watch
    ? (path: string, by?: { process: string; call: string }) =>
        progress({ step: 'touched', detail: by ? `${path}  ${by.call} by ${by.process}` : path })
    : undefined
  const large = largeFiles(blueprint, components)
  const input = { blueprint, services, stackDigest: digest, root, trees, store, log, method, onTouched, large }
  return observe(input, progress, signal)
}

/** The components of a stack and of the blueprint's own files, which come last. */
export async function allComponentsOf({ blueprint }: Applied, stack: Stack, { context }: Work) {
  const added = await addedFiles(blueprint, context.store)
  const components = await componentsOf(stack, context)
  return added ? [...components, added.component] : components
}
