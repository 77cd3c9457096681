import { networkInterfaces } from 'node:os'
import { openContext } from './change/context.ts'
import { BootloomError } from './config/errors.ts'
import type { Logger } from './config/log.ts'
import type { Settings } from './config/settings.ts'
import { FleetOptions } from './dhcp/fleet-options.ts'
import { startRouterAdvertisements } from './dhcp/router-advertisements.ts'
import { socketsFor, startDhcpService } from './dhcp/service.ts'
import { ensureSockets } from './dhcp/sockets.ts'
import { Admission } from './fleet/admission.ts'
import { Assignments } from './fleet/assignment.ts'
import { type BootPrograms, bootPrograms } from './fleet/boot-programs.ts'
import { Boots } from './fleet/boots.ts'
import { Bundles } from './fleet/bundles.ts'
import { leaseHolders } from './fleet/holders.ts'
import { firstAddress } from './fleet/own-address.ts'
import { Delivery } from './http/delivery.ts'
import { startNodeServer } from './http/node-server.ts'
import { installationOf } from './state/installation.ts'
import { openLeases } from './state/leases.ts'
import type { Redis } from './state/redis.ts'
import { HotBlobs } from './store/hot-blobs.ts'
import { transferAccount } from './tftp/account.ts'
import { type NameSpace, tftpNames } from './tftp/names.ts'
import { startTftp } from './tftp/server.ts'
import { loadTftpTemplates } from './tftp/templates.ts'

interface Server {
  close(): Promise<void>
}

/** Opens the sockets of the boot interfaces. This may begin the process anew, so it comes before anything else. */
export const ensureBootSockets = (settings: Settings): void =>
  ensureSockets(socketsFor(settings.dhcp.mode, interfacesOf(settings)))

/** The nodes' side: DHCP, TFTP and HTTP on the boot interface. */
export async function startBoot(settings: Settings, log: Logger): Promise<Server> {
  const context = await openContext(settings, log)
  const parts: Server[] = [context]
  const close = async () => {
    for (const part of parts.reverse()) await part.close()
  }
  try {
    const { redis } = context.state
    const interfaces = interfacesOf(settings).map((name, at) => ({
      name,
      address: (at === 0 ? settings.network.address : undefined) ?? firstAddressOf(name),
    }))
    const boots = await Boots.open(redis, settings, log)
    parts.push(boots)
    const programs = await bootPrograms(settings.boot.programs)
    const assignments = new Assignments(redis, settings, log)
    const bundles = new Bundles(context.store)
    const hot = new HotBlobs(context.store, blobMemory)
    const { port, admission: most, bandwidth } = settings.http
    const admission = most === undefined ? undefined : new Admission(most)
    const delivery = new Delivery(bandwidth)
    const node = { port, state: context.state, store: context.store, assignments, boots, programs: programs.files, log }
    const subnets = settings.dhcp.subnets.map(({ subnet }) => subnet)
    const holders = leaseHolders(boots, redis, subnets, settings.dhcp.mode === 'server')
    const space = {
      programs: programs.files,
      assignments,
      boots,
      bundles,
      hot,
      admission,
      templates: await loadTftpTemplates(),
      log,
    }
    for (const { address } of interfaces) {
      const shared = { bundles, hot, admission, delivery, holders, heartbeat: settings.fleet.heartbeat }
      parts.push(await startNodeServer({ ...node, ...shared, address, settings: settings.http }))
      if (settings.tftp.enabled) parts.push(await serveTftp(settings, address, space))
    }
    const advertising = { interfaces: interfaces.map(({ name }) => name), state: settings.state, log }
    parts.push(await startRouterAdvertisements({ ...advertising, mode: settings.network.routerAdvertisements }))
    if (settings.dhcp.mode !== 'off')
      parts.push(await serveDhcp(settings, interfaces, programs.names, redis, boots, log))
  } catch (error) {
    await close()
    throw error
  }
  return { close }
}

/** Bytes of bundles held in memory, once for all readers by HTTP and TFTP. */
const blobMemory = 192 * 1024 * 1024

/** The boot interface, and further ones. */
const interfacesOf = ({ network }: Settings): string[] => [...new Set([network.interface!, ...network.interfaces])]

function firstAddressOf(name: string): string {
  const found = firstAddress(name)
  if (found) return found
  const known = Object.keys(networkInterfaces()).join(', ')
  throw new BootloomError('INTERFACE_UNUSABLE', `the interface ${name} has no IPv4 address`, {
    where: 'network.interface',
    details: [`interfaces with addresses: ${known}`],
  })
}

async function serveDhcp(
  settings: Settings,
  interfaces: readonly { name: string; address: string }[],
  programs: BootPrograms['names'],
  redis: Redis,
  boots: Boots,
  log: Logger,
): Promise<Server> {
  const ofFleet = await FleetOptions.open(redis, log)
  const service = await startDhcpService({
    interfaces,
    httpPort: settings.http.port,
    programs,
    settings: settings.dhcp,
    leases: openLeases(redis, log),
    optionsOf: (mac) => ofFleet.of(mac),
    installation: await installationOf(redis),
    log,
    onEvent({ type, mac, speaker, address }) {
      const by = speaker === 'ipxe' ? 'ipxe' : speaker === 'os' ? 'node' : 'firmware'
      if (type === 'discover') boots.discover(mac, by)
      else if (type === 'offer' || type === 'request' || type === 'ack' || type === 'nak') {
        boots.record(mac, { stage: type, by, ...(address === undefined ? {} : { address }) })
      }
    },
  })
  return { close: () => service.close().then(() => ofFleet.close()) }
}

function serveTftp(settings: Settings, address: string, space: Omit<NameSpace, 'server'>): Promise<Server> {
  return startTftp({
    address,
    port: settings.tftp.port,
    settings: settings.tftp,
    log: space.log,
    files: tftpNames({ ...space, server: `http://${address}:${settings.http.port}` }),
    ...transferAccount(space),
  })
}
