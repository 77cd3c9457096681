import { rm } from 'node:fs/promises'
import type { ApiClient } from '../../src/http/api-client.ts'
import type { Firmware, Nic } from '../../src/machine/firmware.ts'
import { layOut } from '../blueprint.ts'
import { watchBoot } from '../boot-watch.ts'
import { macOf, startNode } from '../node.ts'
import type { Place } from '../place.ts'
import { type Row, versionOf } from './clients.ts'

export interface Machine {
  readonly client: string
  readonly from: string
  readonly road: string
  readonly firmware: Firmware
  readonly nic?: Nic
  readonly note?: string
}

export const machines: readonly Machine[] = [
  {
    client: 'SeaBIOS, iPXE ROM, virtio-net',
    from: 'ipxe-qemu',
    road: 'HTTP script, kernel, initramfs',
    firmware: 'bios',
    note: 'User class `iPXE` without the length byte of RFC 3004; waits 3 s for a ProxyDHCP unless option 175.176 is 1.',
  },
  {
    client: 'SeaBIOS, iPXE ROM, e1000',
    from: 'ipxe-qemu',
    road: 'HTTP script, kernel, initramfs',
    firmware: 'bios',
    nic: 'e1000',
    note: 'Needs the generic kernel: Debian’s cloud kernel has no e1000.',
  },
  {
    client: 'plain PXE ROM, undionly',
    from: 'ipxe',
    road: 'TFTP undionly.kpxe, then HTTP',
    firmware: 'undionly',
    note: 'QEMU has no PXE ROM but iPXE: one that says it is none stands in for it.',
  },
  {
    client: 'OVMF PXE',
    from: 'ovmf',
    road: 'TFTP snponly.efi, then HTTP',
    firmware: 'uefi-pxe',
    note: 'Rejects option 60 without 43; writes a NUL over the byte after option 67; asks for the size, aborts, asks again.',
  },
  {
    client: 'OVMF HTTP Boot',
    from: 'ovmf',
    road: 'HTTP snponly.efi, then HTTP',
    firmware: 'uefi-http',
    note: 'Needs option 60 `HTTPClient` back and option 54; follows no redirect.',
  },
]

/** What a server gives its nodes instead of iPXE, in the settings `boot.programs`. */
export const otherPrograms = {
  bios: '/usr/lib/PXELINUX/pxelinux.0',
  x64Uefi: '/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed',
} as const

/** Machines of a server that gives its nodes other boot programs. */
export const otherMachines: readonly Machine[] = [
  {
    client: 'plain PXE ROM, PXELINUX',
    from: 'pxelinux',
    road: 'TFTP pxelinux.0, ldlinux.c32, pxelinux.cfg/01-…, kernel, initramfs',
    firmware: 'undionly',
    note: 'Asks for the configuration of its UUID first.',
  },
  {
    client: 'OVMF PXE, GRUB as Debian signs it',
    from: 'grub-efi-amd64-signed',
    road: 'TFTP grubnetx64.efi.signed, grub.cfg, kernel, initramfs',
    firmware: 'uefi-pxe',
    note: 'Has no HTTP.',
  },
]

const generic = 'apache-generic'

/** Powers each of the machines on in turn; each has to report ready. */
export async function bootMachines(
  place: Place,
  api: ApiClient,
  machines: readonly Machine[],
  onRow: (row: Row) => void,
): Promise<void> {
  if (machines.some(({ nic }) => nic === 'e1000')) await prepareGeneric(place, api)
  for (const [at, machine] of machines.entries()) onRow(await bootMachine(place, api, machine, at + 1))
}

async function bootMachine(place: Place, api: ApiClient, machine: Machine, index: number): Promise<Row> {
  const { client, from, road, firmware, nic = 'virtio-net-pci', note = '' } = machine
  const row = { client, version: await versionOf(from), road }
  const mac = macOf(index)
  const blueprint = nic === 'e1000' ? generic : 'apache'
  await api.request('PUT', `/v1/nodes/${mac}`, { blueprint, channel: 'stable' })
  const since = Date.now()
  const node = await startNode(place, { index, mac, firmware, nic })
  try {
    const boot = await watchBoot(api, node, { since, timeout: 240_000 })
    const seconds = ((boot.stages.at(-1)!.at - since) / 1000).toFixed(0)
    return { ...row, result: 'ok', note: `Ready after ${seconds} s under emulation. ${note}`.trim() }
  } catch (error) {
    return { ...row, result: 'fails', note: (error as Error).message }
  } finally {
    await node.stop()
    await rm(node.serial.path, { force: true })
  }
}

/** The same application with the generic kernel and the e1000 driver. */
async function prepareGeneric(place: Place, api: ApiClient): Promise<void> {
  const { yaml, directory } = await layOut(place, 'apache')
  const edited = yaml.replace(/^name: .*$/m, `name: ${generic}\nkernel: { flavour: generic, modules: [e1000] }`)
  await api.request('POST', '/v1/blueprints', { yaml: edited, directory })
  const channels = await api.request<{ stable?: unknown }>('GET', `/v1/channels/${generic}`)
  if (channels.stable) return
  await api.job('POST', `/v1/blueprints/${generic}/observe`, {}, () => {})
  await api.job('POST', `/v1/blueprints/${generic}/compose`, { level: 'fast' }, () => {})
}
