import { pagedGlobs } from '../blueprint/kept-pages.ts'
import type { ObservationRecord } from '../blueprint/observe/observe.ts'
import type { Profile } from '../blueprint/profile.ts'
import { select } from '../blueprint/select.ts'
import type { Selection } from '../blueprint/selection.ts'
import type { Stack } from '../repository/stack.ts'
import { canonicalJson, type Digest } from '../store/digest.ts'
import type { AppliedWoven as Applied } from './applied.ts'
import type { Context } from './context.ts'
import { componentsOf, remember, type Work } from './work.ts'

/** What a blueprint keeps, and under which digest that is stored. */
export interface Selected {
  readonly selection: Selection
  readonly digest: Digest
}

export async function selectionOf(applied: Applied, stack: Stack, stackDigest: Digest, work: Work): Promise<Selected> {
  const { context, progress } = work
  progress({ step: 'select' })
  const selection = await select(await selectInput(applied, stack, stackDigest, context))
  const digest = await context.store.writeJson(selection)
  await remember(context, applied.record.name, { selectionDigest: digest })
  return { selection, digest }
}

export async function selectInput({ blueprint, record }: Applied, stack: Stack, stackDigest: Digest, context: Context) {
  const { store } = context
  const profileDigest = record.profileDigest!
  return {
    blueprint,
    stackDigest,
    stack,
    components: await componentsOf(stack, context),
    profile: await store.readJson<Profile>(profileDigest),
    profileDigest,
    widened: record.widened ?? [],
    pages: await pagesRead(record.observationDigest, blueprint, context),
    store,
  }
}

/** Read only where it is asked for: the record of an observation is long. */
async function pagesRead(observation: Digest | undefined, { granularity }: Applied['blueprint'], { store }: Context) {
  if (observation === undefined || pagedGlobs(granularity).length === 0) return undefined
  return (await store.readJson<ObservationRecord>(observation)).pages
}

/** What a selection puts on a node, whatever versions it comes from and why. */
export function contentOf(selection: Selection): string {
  const files = selection.parts.flatMap((part) => part.files.map(({ reason: _, ...entry }) => entry))
  return canonicalJson(files.sort((a, b) => (a.path < b.path ? -1 : 1)))
}
