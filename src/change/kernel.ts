import { type ChosenFragment, chooseFragments, optionsOf, unservedCards } from '../blueprint/kernel-choice.ts'
import { type KernelWant, loadKernelFragments } from '../blueprint/kernel-fragments.ts'
import type { ObservationRecord } from '../blueprint/observe/observe.ts'
import type { Blueprint } from '../blueprint/schema.ts'
import type { Selection } from '../blueprint/selection.ts'
import { modulesOf } from '../compose/misses.ts'
import { hasPages, pagesModules } from '../compose/pages.ts'
import { chooseRoot, type RootChoice, rootModules } from '../compose/root.ts'
import { BootloomError } from '../config/errors.ts'
import type { Component } from '../repository/component.ts'
import { leanKernel } from '../repository/kernel/build.ts'
import { type Firmware, firmwareFor } from '../repository/kernel/firmware.ts'
import { type KernelModule, modulesFor } from '../repository/kernel/kernel.ts'
import { repackedKernel } from '../repository/kernel/repack.ts'
import { loadComponent } from '../repository/recorded.ts'
import type { Stack } from '../repository/stack.ts'
import { getBlueprint } from '../state/blueprints.ts'
import { type Devices, devicesOf, driversOf } from './hardware.ts'
import type { Work } from './work.ts'

/** What a bundle asks of its kernel. */
export interface KernelNeeds {
  /** How its packages stand on the node; absent of a full stack. */
  readonly root?: RootChoice
  /** Modules of Debian's kernels, by name. */
  readonly modules: readonly string[]
  /** Those of them that are there for the nodes' devices alone; none of a lean kernel. */
  readonly drivers: readonly string[]
  /** Devices that no driver serves. */
  readonly warnings: readonly string[]
  /** Of a lean kernel: what it is configured with, and why; and network cards stated that it has no driver for. */
  readonly lean?: { readonly chosen: readonly ChosenFragment[]; readonly unserved: readonly string[] }
}

/** KERNEL_FRAGMENT_UNKNOWN. */
export async function kernelNeeds(
  blueprint: Blueprint,
  stack: Stack,
  selection: Selection,
  { full, learns }: { readonly full?: boolean | undefined; readonly learns?: boolean | undefined },
  { store, state }: Work['context'],
): Promise<KernelNeeds> {
  const { kernel, onMiss } = blueprint
  // What a node learns from has times that move when a file is read, and what is compared with is as a golden image is.
  const root = full
    ? undefined
    : await chooseRoot(blueprint, {
        selection,
        pages: await pagesRead(blueprint.name, { store, state }),
        kernelHas: (names) => kernelHas(kernel, stack, store, names),
      })
  const ours = [
    ...modulesOf[onMiss],
    ...rootModules[root?.format ?? 'files'],
    ...(hasPages(selection) ? pagesModules : []),
  ]
  const devices = await devicesOf(blueprint, state.redis)
  const base = [...kernel.modules, ...ours]
  if (kernel.flavour === 'lean') {
    const lean = await leanNeeds(kernel, devices, selection, wantsOf(ours, learns ?? false))
    return { ...(root ? { root } : {}), modules: base, drivers: [], warnings: [], lean }
  }
  const debian = await loadComponent(stack.kernel, store)
  const { modules, warnings } = await driversOf(devices, debian, store)
  const there = new Set((await modulesFor(debian, store, base)).map(({ name }) => name))
  const drivers = modules.filter((name) => !there.has(name))
  return { ...(root ? { root } : {}), modules: [...base, ...drivers], drivers, warnings }
}

async function leanNeeds(
  { fragments: named, options }: Blueprint['kernel'],
  { stated, reported }: Devices,
  selection: Selection,
  wants: readonly KernelWant[],
): Promise<NonNullable<KernelNeeds['lean']>> {
  const fragments = await loadKernelFragments()
  const paths = selection.parts.flatMap(({ files }) => files.map(({ path }) => path))
  return {
    chosen: chooseFragments(fragments, { paths, hardware: stated, reported, wants, named, options }),
    unserved: unservedCards(fragments, [...new Set([...(stated ?? []), ...reported])]),
  }
}

/** Which pages of its large files were read while a blueprint was watched; undefined where nobody saw. */
export async function pagesRead(
  name: string,
  { store, state }: Pick<Work['context'], 'store' | 'state'>,
): Promise<ObservationRecord['pages']> {
  const digest = (await getBlueprint(state.redis, name))?.observationDigest
  return digest && (await store.has(digest)) ? (await store.readJson<ObservationRecord>(digest)).pages : undefined
}

/** Whether the kernel of a stack has all of these modules, or has them built in; one that is built can have any. */
async function kernelHas(
  { flavour }: Blueprint['kernel'],
  stack: Stack,
  store: Work['context']['store'],
  names: readonly string[],
): Promise<boolean> {
  if (flavour === 'lean') return true
  try {
    await modulesFor(await loadComponent(stack.kernel, store), store, names)
    return true
  } catch (error) {
    if (error instanceof BootloomError && error.code === 'MODULE_UNKNOWN') return false
    throw error
  }
}

/** What the modules that a bundle asks Debian's kernels for come to in a kernel that has all built in. */
const wantsOf = (modules: readonly string[], learns: boolean): KernelWant[] => [
  ...(modules.includes('squashfs') ? (['squashfs'] as const) : []),
  ...(modules.includes('fuse') ? (['fuse'] as const) : []),
  ...(learns ? (['learn'] as const) : []),
]

/** What a bundle boots. */
export interface BootedKernel {
  readonly component: Component
  /** In the order in which they are loaded. */
  readonly modules: readonly KernelModule[]
  /** What these load, as far as the stack has it. */
  readonly firmware?: Firmware
}

/**
 * The kernel of a bundle with the modules that it needs: Debian's own, repacked, or one built for what the bundle keeps
 * and its nodes have. Building takes minutes, and is done once; nodes that power on never wait for it.
 */
export async function bootedKernel(
  { kernel }: Blueprint,
  stack: Stack,
  { modules, lean }: KernelNeeds,
  { context, progress, signal }: Work,
): Promise<BootedKernel> {
  const { store } = context
  if (lean) {
    const request = { source: stack.kernel, options: optionsOf(lean.chosen) }
    const { ref } = await leanKernel(request, context, progress, signal)
    return { component: await loadComponent(ref, store), modules: [] }
  }
  const debian = await loadComponent(stack.kernel, store)
  const found = await modulesFor(debian, store, modules)
  const firmware = await firmwareFor(found, stack, store)
  if (!kernel.repack || stack.kernelSource === undefined) return { component: debian, modules: found, firmware }
  const { ref } = await repackedKernel({ kernel: stack.kernel, source: stack.kernelSource }, context, progress, signal)
  return { component: await loadComponent(ref, store), modules: found, firmware }
}
