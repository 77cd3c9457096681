import type { Selection } from '../blueprint/selection.ts'
import type { BundleConfig, BundleManifest } from '../compose/bundle-format.ts'
import type { Stack } from '../repository/stack.ts'
import { channelPointers } from '../state/channels.ts'
import { addEvent } from '../state/events.ts'
import { appliedBlueprint, wovenBlueprint } from './applied.ts'
import type { Context } from './context.ts'
import { kernelNeeds } from './kernel.ts'
import type { ComposeReport } from './report.ts'
import { composeBlueprint } from './weave.ts'
import type { Work } from './work.ts'

/** Weaves a blueprint anew where the devices of its nodes want drivers that its bundle has not; null where they do not. */
export async function weaveForHardware(name: string, work: Work): Promise<ComposeReport | null> {
  const { context } = work
  const drivers = await lackingDrivers(name, context)
  if (drivers.length === 0) return null
  await addEvent(context.state.redis, { event: 'drivers-wanted', blueprint: name, drivers })
  context.log.info({ event: 'drivers-wanted', blueprint: name, drivers })
  return composeBlueprint(name, { reason: `drivers: ${drivers.join(', ')}`.slice(0, 200) }, work)
}

/** Modules, or fragments of a lean kernel, that the nodes of a blueprint want and its bundle on `stable` has not. */
async function lackingDrivers(name: string, context: Context): Promise<string[]> {
  const { store, state } = context
  const { stable } = await channelPointers(state.redis, name)
  const { record } = await appliedBlueprint(context, name)
  if (!stable || !record.selectionDigest || !(await store.has(stable))) return []
  const manifest = await store.readJson<BundleManifest>(stable)
  const config = await store.readJson<BundleConfig | { readonly level: 'foreign' }>(manifest.config.digest)
  if (config.level === 'foreign') return []
  const { blueprint } = await wovenBlueprint(context, name)
  const stack = await store.readJson<Stack>(config.inputs.stack)
  const selection = await store.readJson<Selection>(config.inputs.selection)
  const { drivers, lean } = await kernelNeeds(blueprint, stack, selection, {}, context)
  const wanted = lean ? lean.chosen.map((fragment) => fragment.name) : drivers
  const has = new Set<string>((lean ? config.kernel.fragments : config.kernel.drivers) ?? [])
  return wanted.filter((one) => !has.has(one))
}
