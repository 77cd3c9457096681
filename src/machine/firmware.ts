import { copyFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BootloomError } from '../config/errors.ts'

/**
 * How a node comes up:
 * `bios`      SeaBIOS with the NIC's ROM, which in QEMU is iPXE;
 * `undionly`  BIOS with a ROM that says it is no iPXE, and so is given undionly.kpxe by TFTP;
 * `uefi-pxe`  OVMF with its own PXE client, which loads snponly.efi by TFTP;
 * `uefi-http` OVMF with HTTP Boot alone.
 */
export const firmwares = ['bios', 'undionly', 'uefi-pxe', 'uefi-http'] as const
export type Firmware = (typeof firmwares)[number]

export const nics = ['virtio-net-pci', 'e1000', 'e1000e'] as const
export type Nic = (typeof nics)[number]

/**
 * QEMU has no PXE ROM but iPXE. This one takes on another user class, so the server sees plain PXE firmware
 * (architecture 0, no `iPXE` in option 77) and it does what such firmware does: load by TFTP what option 67 names.
 * A ProxyDHCP server's word counts before that of the server which gave the address, as in firmware.
 * The class is cleared before the jump, since undionly would inherit it with the cached lease, as it would from no ROM.
 */
const plainPxeScript = `#!ipxe
:again
set user-class PlainPXE
dhcp net0 || goto again
clear user-class
set from \${next-server}
isset \${proxydhcp/next-server} && set from \${proxydhcp/next-server} ||
chain tftp://\${from}/\${filename} || sleep 3
goto again
`

/**
 * QEMU's arguments for the firmware and the NIC. Always TCG: /dev/kvm can exist and still hang every guest.
 * graphics=off puts SeaBIOS and iPXE on the serial port; an empty romfile leaves OVMF its own PXE.
 */
export async function firmwareArguments(
  firmware: Firmware,
  machine: { readonly nic: Nic; readonly mac: string; readonly tap: string; readonly directory: string },
): Promise<string[]> {
  const network = (rom: string) => [
    '-netdev',
    `tap,id=net,ifname=${machine.tap},script=no,downscript=no`,
    '-device',
    `${machine.nic},netdev=net,mac=${machine.mac},bootindex=1${rom}`,
  ]
  // A BIOS that finds nothing to boot tries again, as nodes in a rack are set to.
  const bios = ['-machine', 'pc,graphics=off', '-boot', 'n,reboot-timeout=3000']
  if (firmware === 'bios') return [...bios, ...network('')]
  if (firmware === 'undionly') {
    const script = join(machine.directory, 'plain-pxe.ipxe')
    await writeFile(script, plainPxeScript)
    return [...bios, ...network(',romfile='), '-kernel', '/usr/lib/ipxe/ipxe.lkrn', '-initrd', script]
  }
  // OVMF's own PXE drives no other card; the ROMs of the others are iPXE, which then asks in its place.
  const isOwn = machine.nic === 'virtio-net-pci'
  if (!isOwn && firmware === 'uefi-http') {
    throw new BootloomError('USAGE', `OVMF has no driver for ${machine.nic}`, {
      hint: 'Take virtio-net-pci with HTTP Boot.',
    })
  }
  const variables = join(machine.directory, 'uefi-variables.fd')
  await copyFile('/usr/share/OVMF/OVMF_VARS_4M.fd', variables)
  return [
    ...['-machine', 'q35'],
    ...['-drive', 'if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd'],
    ...['-drive', `if=pflash,format=raw,unit=1,file=${variables}`],
    ...network(isOwn ? ',romfile=' : ''),
    ...(firmware === 'uefi-http' ? withoutPxe : []),
  ]
}

/** OVMF tries PXE first; with both switched off it goes to HTTP Boot at once. */
const withoutPxe = ['IPv4', 'IPv6'].flatMap((family) => [
  '-fw_cfg',
  `name=opt/org.tianocore/${family}PXESupport,string=no`,
])
