import { setTimeout as sleep } from 'node:timers/promises'
import { type Dialect, dialects, snippet } from '../../src/dhcp/snippets.ts'
import { type Firmware, firmwares } from '../firmware.ts'
import { down, up } from '../lab.ts'
import { startNode } from '../node.ts'
import { network, type Place, placeOf } from '../place.ts'
import { becomeRoot } from '../root.ts'
import { startOtherDhcp } from './other-dhcp.ts'

/**
 * Boots every firmware beside the DHCP servers of others, up to the screen that our script shows: as ProxyDHCP beside
 * each (`proxy`, and `auto`, which must find out by itself), and with DHCP off, where the other server holds our
 * snippet. Usage: dhcp-modes.ts [FIRMWARE,… [MODE,…]]. Prints a table; exit 1 when one did not come up.
 */
const asked = process.argv[2]?.split(',') as Firmware[] | undefined
const tried = asked ?? [...firmwares]
const modes = process.argv[3]?.split(',') ?? ['proxy', 'auto', 'off']
/** Milliseconds. */
const patience = 90_000

await becomeRoot()
const place = placeOf({ name: 'bootloom-dhcp-modes' })
let failures = 0
for (const mode of ['proxy', 'auto', 'off'] as const) {
  if (!modes.includes(mode)) continue
  for (const other of mode === 'auto' ? (['dnsmasq'] as const) : dialects) await tryBeside(place, mode, other)
}
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

/** Milliseconds from power-on to our script on the screen. */
async function bootTime(place: Place, index: number, firmware: Firmware): Promise<number | undefined> {
  const began = Date.now()
  const node = await startNode(place, { index, firmware })
  try {
    for (; Date.now() - began < patience; await sleep(200)) {
      if (node.serial.text().includes('Bootloom knows no assignment')) return Date.now() - began
    }
    return undefined
  } finally {
    await node.stop()
  }
}
