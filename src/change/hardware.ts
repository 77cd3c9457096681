import type { Blueprint } from '../blueprint/schema.ts'
import { deviceText, wantsDriver } from '../fleet/devices.ts'
import type { Component } from '../repository/component.ts'
import { driversFor } from '../repository/kernel/drivers.ts'
import type { Firmware } from '../repository/kernel/firmware.ts'
import { assignmentOf, listGroups } from '../state/groups.ts'
import { listHardware } from '../state/hardware.ts'
import { listNodes } from '../state/nodes.ts'
import type { Redis } from '../state/redis.ts'
import type { Store } from '../store/store.ts'

/** The devices that a bundle is woven for, by their modaliases. */
export interface Devices {
  /** Of the blueprint; undefined: it says nothing. */
  readonly stated: readonly string[] | undefined
  /** Of the nodes assigned to it, as far as they told. */
  readonly reported: readonly string[]
}

export async function devicesOf({ name, kernel }: Pick<Blueprint, 'name' | 'kernel'>, redis: Redis): Promise<Devices> {
  const [nodes, groups] = await Promise.all([listNodes(redis), listGroups(redis)])
  const own = nodes.filter((node) => assignmentOf(node, groups)?.blueprint === name)
  const told = await listHardware(
    redis,
    own.map(({ mac }) => mac),
  )
  const reported = [...new Set(told.flatMap(({ modaliases }) => modaliases))].sort()
  return { stated: kernel.hardware?.map(asModalias), reported }
}

/** A PCI id stands for a network card of that vendor and device. */
const asModalias = (device: string): string =>
  /^[0-9a-f]{4}:[0-9a-f]{4}$/i.test(device)
    ? `pci:v0000${device.slice(0, 4).toUpperCase()}d0000${device.slice(5).toUpperCase()}sv00000000sd00000000bc02sc00i00`
    : device

/**
 * Of what a node merely has, the drivers that a node without disks needs: for networks, what these stand on in a virtual
 * machine, randomness and watchdogs. What a blueprint states itself is taken whole.
 */
const useful = /^kernel\/drivers\/((net|virtio|hv|xen|char\/hw_random|watchdog|ptp)\/)(?!wireless|can|hamradio|wan\/)/

/** Modules for devices, and what is to be told of those that go without. */
export async function driversOf(
  { stated = [], reported }: Devices,
  kernel: Component,
  store: Store,
): Promise<{ readonly modules: readonly string[]; readonly warnings: readonly string[] }> {
  const named = await driversFor(kernel, store, stated, () => true)
  const had = await driversFor(kernel, store, reported, (path) => useful.test(path))
  const unserved = [...new Set([...named.unserved, ...had.unserved.filter(wantsDriver)])]
  return {
    modules: [...new Set([...named.modules, ...had.modules])],
    warnings: unserved.map((modalias) => unservedText(modalias, kernel.name)),
  }
}

function unservedText(modalias: string, kernel: string): string {
  const text = deviceText(modalias)
  const exact = text === modalias ? '' : ` (${modalias.slice(0, 100)})`
  return `no driver of ${kernel} serves ${text.slice(0, 100)}${exact}`
}

/** A line for each module that goes without some of its firmware. */
export function firmwareWarnings({ missing }: Firmware): string[] {
  const modules = [...new Set(missing.map(({ module }) => module))]
  return modules.map((module) => {
    const names = missing.flatMap((one) => (one.module === module ? [one.name] : []))
    const more = names.length > 4 ? ` and ${names.length - 4} more` : ''
    return `the module ${module} may ask for firmware that no package of the stack has: ${names.slice(0, 4).join(', ')}${more}`
  })
}
