import { networkInterfaces } from 'node:os'
import { openContext } from './change/context.ts'
import { BootloomError } from './config/errors.ts'
import type { Logger } from './config/log.ts'
import type { Settings } from './config/settings.ts'
import { serverPort, startDhcp } from './dhcp/server.ts'
import { ensureSockets } from './dhcp/sockets.ts'
import { Assignments } from './fleet/assignment.ts'
import { bootPrograms } from './fleet/boot-programs.ts'
import { Boots } from './fleet/boots.ts'
import { startControl } from './http/control.ts'
import { startNodeServer } from './http/node-server.ts'
import { type Leases, openLeases } from './state/leases.ts'
import { startTftp } from './tftp/server.ts'

/** `boot` answers nodes, `control` answers admins and does the work (docs/decisions/0003). */
export type Role = 'boot' | 'control' | 'all'

interface Server {
  close(): Promise<void>
}

/** Starts what the role asks for; when one part cannot start, none stays. */
export async function startServer(settings: Settings, role: Role, log: Logger): Promise<Server> {
  // This may begin the process anew, so it comes before anything else.
  if (role !== 'control' && settings.dhcp.mode === 'server') {
    ensureSockets([{ interface: settings.network.interface!, port: serverPort }])
  }
  const parts: Server[] = []
  const close = async () => {
    for (const part of parts.reverse()) await part.close()
  }
  try {
    if (role !== 'boot') parts.push(await startControl(settings, log, { watching: true }))
    if (role !== 'control') parts.push(await startBoot(settings, log))
  } catch (error) {
    await close()
    throw error
  }
  return { close }
}

/** The nodes' side: DHCP, TFTP and HTTP on the boot interface. */
async function startBoot(settings: Settings, log: Logger): Promise<Server> {
  const context = await openContext(settings, log)
  const parts: Server[] = [context]
  const close = async () => {
    for (const part of parts.reverse()) await part.close()
  }
  try {
    const { redis } = context.state
    const name = settings.network.interface!
    const address = settings.network.address ?? firstAddressOf(name)
    const boots = await Boots.open(redis, log)
    parts.push(boots)
    const programs = await bootPrograms()
    const assignments = new Assignments(redis, settings.unknown, log)
    const { port } = settings.http
    const node = { address, port, state: context.state, store: context.store, assignments, boots, programs, log }
    parts.push(await startNodeServer(node))
    if (settings.tftp.enabled) parts.push(await serveTftp(settings, address, programs, boots, log))
    if (settings.dhcp.mode === 'server') parts.push(await serveDhcp(settings, address, openLeases(redis), boots, log))
  } catch (error) {
    await close()
    throw error
  }
  return { close }
}

function firstAddressOf(name: string): string {
  const found = networkInterfaces()[name]?.find(({ family }) => family === 'IPv4')
  if (found) return found.address
  const known = Object.keys(networkInterfaces()).join(', ')
  throw new BootloomError('INTERFACE_UNUSABLE', `the interface ${name} has no IPv4 address`, {
    where: 'network.interface',
    details: [`interfaces with addresses: ${known}`],
  })
}

async function serveDhcp(
  settings: Settings,
  address: string,
  leases: Leases,
  boots: Boots,
  log: Logger,
): Promise<Server> {
  return startDhcp({
    interface: settings.network.interface!,
    address,
    httpPort: settings.http.port,
    settings: settings.dhcp,
    leases,
    log,
    onEvent({ type, mac, speaker, address }) {
      const by = speaker === 'ipxe' ? 'ipxe' : speaker === 'os' ? 'node' : 'firmware'
      if (type === 'discover') boots.discover(mac, by)
      else if (type === 'offer' || type === 'request' || type === 'ack' || type === 'nak') {
        boots.record(mac, { stage: type, by, ...(address === undefined ? {} : { address }) })
      }
    },
  })
}

/** TFTP has the boot programs and nothing else; a transfer that moved bytes is told to the node's boot. */
function serveTftp(
  settings: Settings,
  address: string,
  programs: ReadonlyMap<string, Buffer>,
  boots: Boots,
  log: Logger,
): Promise<Server> {
  return startTftp({
    address,
    port: settings.tftp.port,
    log,
    async files(name) {
      const bytes = programs.get(name.replace(/^\/+/, ''))
      return bytes && { bytes }
    },
    onEvent({ type, client, file, bytes }) {
      const mac = boots.macAt(client)
      if (mac !== undefined && type === 'sent') boots.record(mac, { stage: 'tftp', file, bytes })
    },
  })
}
