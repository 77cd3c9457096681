import type { OnProgress } from '../../config/progress.ts'
import { componentsOfDebs, recordDebComponents } from '../../state/components.ts'
import type { Batch } from '../../store/batch.ts'
import type { Component, ComponentRef } from '../component.ts'
import type { RepositoryContext } from '../context.ts'
import { eachOf } from '../each.ts'
import { summaryOf, writeComponent } from '../recorded.ts'
import { readDeb } from './archive.ts'
import { sourcePackageOf } from './control.ts'
import type { ResolvedPackage } from './resolve.ts'

/** Every .deb as a component; only those never read before are opened. Same order as given. */
export async function debComponents(
  packages: readonly ResolvedPackage[],
  context: RepositoryContext,
  progress: OnProgress,
  signal?: AbortSignal,
): Promise<ComponentRef[]> {
  const { store, state } = context
  const refs: (ComponentRef | undefined)[] = []
  const known = await componentsOfDebs(
    state.redis,
    'deb',
    packages.map((one) => one.deb),
  )
  for (const [index, digest] of known.entries()) {
    const { name, version } = packages[index]!
    refs.push(digest && (await store.has(digest)) ? { kind: 'deb', name, version, digest } : undefined)
  }
  const unread = packages.flatMap((one, index) => (refs[index] ? [] : [{ one, index }]))
  if (unread.length === 0) return refs as ComponentRef[]
  const batch = await store.batch()
  try {
    const found: Parameters<typeof recordDebComponents>[2][number][] = []
    let done = 0
    await eachOf(unread, 2, async ({ one, index }) => {
      signal?.throwIfAborted()
      const component = await readComponent(one, context, batch, signal)
      const ref = await writeComponent(component, batch)
      refs[index] = ref
      found.push({ deb: one.deb, summary: summaryOf(ref, component) })
      progress({ step: 'components', detail: one.name, fraction: ++done / unread.length })
    })
    await batch.commit()
    await recordDebComponents(state.redis, 'deb', found)
  } finally {
    await batch.abandon()
  }
  return refs as ComponentRef[]
}

async function readComponent(
  one: ResolvedPackage,
  context: RepositoryContext,
  batch: Batch,
  signal?: AbortSignal,
): Promise<Component> {
  const contents = await readDeb(context.store.path(one.deb), `${one.name} ${one.version}`, batch, { signal })
  const source = sourcePackageOf(contents.control)
  return {
    kind: 'deb',
    name: one.name,
    version: one.version,
    architecture: one.architecture,
    ...(source === undefined ? {} : { sourcePackage: source }),
    mtime: contents.mtime,
    entries: contents.entries,
  }
}
