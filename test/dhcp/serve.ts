import { parse } from 'yaml'
import { createLogger } from '../../src/config/log.ts'
import { FleetOptions } from '../../src/dhcp/fleet-options.ts'
import { socketsFor, startDhcpService } from '../../src/dhcp/service.ts'
import { ensureSockets } from '../../src/dhcp/sockets.ts'
import { installationOf } from '../../src/state/installation.ts'
import { openLeases } from '../../src/state/leases.ts'
import { openState } from '../../src/state/redis.ts'
import { dhcpSettings } from './settings.ts'

/**
 * The DHCP server in a process of its own: serve.ts STATE SETTINGS INTERFACE=ADDRESS… A line of JSON for each event. STATE
 * is a directory, or the URL of a Redis.
 */
const [place, yaml, ...places] = process.argv.slice(2) as [string, string, ...string[]]
const interfaces = places.map((each) => {
  const [name, address] = each.split('=') as [string, string]
  return { name, address }
})
const settings = dhcpSettings(parse(yaml))
ensureSockets(
  socketsFor(
    settings.mode,
    interfaces.map(({ name }) => name),
  ),
)
const log = createLogger({ level: 'warn' })
const state = await openState(place.includes('://') ? { directory: '', url: place } : { directory: place }, log)
const ofFleet = await FleetOptions.open(state.redis, log)
const server = await startDhcpService({
  interfaces,
  httpPort: 8080,
  programs: { bios: 'undionly.kpxe', x64Uefi: 'snponly.efi' },
  settings,
  leases: openLeases(state.redis, log),
  optionsOf: (mac) => ofFleet.of(mac),
  installation: await installationOf(state.redis),
  log,
  onEvent: (event) => console.log(JSON.stringify(event)),
})
console.log(JSON.stringify({ ready: process.pid }))
process.once('SIGTERM', async () => {
  await server.close()
  await ofFleet.close()
  await state.close()
})
