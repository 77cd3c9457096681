import { setTimeout as sleep } from 'node:timers/promises'
import { type Dialect, dialects, snippet } from '../../src/dhcp/snippets.ts'
import { type Firmware, firmwares } from '../../src/machine/firmware.ts'
import { down, up } from '../lab.ts'
import { network, type Place, placeOf } from '../place.ts'
import { becomeRoot } from '../root.ts'
import { bootByBootServer, bootTime } from './boot-server.ts'
import { startOtherDhcp } from './other-dhcp.ts'

/**
 * Boots every firmware beside the DHCP servers of others, up to the screen that our script shows: as ProxyDHCP beside
 * each (`proxy`, and `auto`, which must find out by itself), and with DHCP off, where the other server holds our
 * snippet. Last (`4011`) beside one that says option 60 = `PXEClient` and no file, as one on our machine would: OVMF and
 * iPXE then ask us at port 4011. Usage: dhcp-modes.ts [FIRMWARE,… [MODE,…]]. Prints a table; exit 1 when one did not come up.
 */
const asked = process.argv[2]?.split(',') as Firmware[] | undefined
const tried = asked ?? [...firmwares]
const modes = process.argv[3]?.split(',') ?? ['proxy', 'auto', 'off', '4011']

await becomeRoot()
const place = placeOf({ name: 'bootloom-dhcp-modes' })
let failures = 0
for (const mode of ['proxy', 'auto', 'off'] as const) {
  if (!modes.includes(mode)) continue
  for (const other of mode === 'auto' ? (['dnsmasq'] as const) : dialects) await tryBeside(place, mode, other)
}
if (modes.includes('4011')) await tryBootServer(place)
process.exitCode = failures === 0 ? 0 : 1

async function tryBeside(place: Place, mode: 'proxy' | 'auto' | 'off', other: Dialect): Promise<void> {
  const dhcp = { mode, subnets: [{ subnet: network.subnet, range: network.range }] }
  await up(place, { settings: { dhcp }, held: true })
  const programs = { bios: 'undionly.kpxe', x64Uefi: 'snponly.efi' }
  const server = { address: network.address, httpPort: 8080, programs }
  const beside = await startOtherDhcp(place, other, mode === 'off' ? snippet(other, server) : '')
  try {
    // Whoever is asked too soon gives no address, and nodes lose a try of their own.
    await sleep(mode === 'auto' ? 40_000 : 1500)
    const results = await Promise.all(tried.map((firmware, at) => bootTime(place, at + 1, firmware)))
    for (const [at, time] of results.entries()) {
      if (time === undefined) failures++
      const outcome = time === undefined ? 'NOT BOOTED' : `${(time / 1000).toFixed(1)} s`
      console.log(`${mode.padEnd(6)} ${other.padEnd(8)} ${tried[at]!.padEnd(10)} ${outcome}`)
    }
  } finally {
    await beside.close()
    await down(place)
  }
}

async function tryBootServer(place: Place): Promise<void> {
  const { time, asked } = await bootByBootServer(place)
  for (const by of ['firmware', 'ipxe']) {
    const outcome = time === undefined ? 'NOT BOOTED' : asked.has(by) ? `${(time / 1000).toFixed(1)} s` : 'NOT ASKED'
    if (time === undefined || !asked.has(by)) failures++
    console.log(`4011   isc      ${by === 'ipxe' ? 'iPXE      ' : 'uefi-pxe  '} ${outcome}`)
  }
}
