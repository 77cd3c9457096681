import { networkInterfaces } from 'node:os'
import { setInterval as every } from 'node:timers/promises'
import type { Logger } from '../config/log.ts'
import type { Settings } from '../config/settings.ts'
import type { Leases } from '../state/leases.ts'
import { ArpProbe } from './arp-probe.ts'
import { BootLoops } from './boot-loop.ts'
import { type DhcpContext, readContext } from './context.ts'
import { decide } from './engine.ts'
import type { Decision } from './exchange.ts'
import type { Client } from './firmware.ts'
import { findOtherServer, isOwnQuestion } from './other-server.ts'
import { type DhcpPacket, usualSize } from './packet.ts'
import { decideProxy } from './proxy.ts'
import { ports } from './reply.ts'
import type { BootServer } from './roads.ts'
import { type DhcpEvent, type DhcpServer, startDhcp } from './server.ts'
import { type InterfacePort, openSocket } from './sockets.ts'
import { SpareAddresses } from './spare-addresses.ts'

export interface DhcpServiceOptions {
  /** The boot interfaces, each with this server's IPv4 address on it; their sockets must have been inherited. */
  readonly interfaces: readonly { readonly name: string; readonly address: string }[]
  /** The port that nodes ask by HTTP. */
  readonly httpPort: number
  readonly programs: BootServer['programs']
  readonly settings: Settings['dhcp']
  readonly leases: Leases
  readonly optionsOf?: DhcpContext['optionsOf']
  /** Names the servers that share one Redis: they are no other servers to each other. */
  readonly installation: string
  readonly log: Logger
  readonly onEvent: (event: DhcpEvent) => void
}

/** `undecided`: silent until it is known whether another server answers. */
type Mode = 'server' | 'proxy' | 'undecided'

interface Current {
  mode: Mode
  onServing?: () => void
}

/** The sockets that a mode needs on each interface; see `ensureSockets`. */
export function socketsFor(mode: Settings['dhcp']['mode'], interfaces: readonly string[]): InterfacePort[] {
  const wanted = {
    off: [],
    server: [ports.server],
    proxy: [ports.server, ports.bootServer],
    auto: [ports.server, ports.bootServer, ports.client],
  }[mode]
  return interfaces.flatMap((name) => [
    ...wanted.map((port) => ({ interface: name, port })),
    ...wanted.filter((port) => port === ports.server).map((port) => ({ interface: name, port, size: usualSize })),
  ])
}

/** Milliseconds between two looks for another server, and after how many looks in vain this one takes over. */
const [lookEvery, looksInVain] = [30_000, 3]

/** DHCP on every boot interface, in the mode of the settings. Throws DHCP_SETTINGS_INVALID and SOCKET_UNAVAILABLE. */
export async function startDhcpService(options: DhcpServiceOptions): Promise<DhcpServer> {
  const parts: { close(): Promise<void> }[] = []
  const close = async () => {
    for (const part of parts.splice(0).reverse()) await part.close()
  }
  try {
    for (const each of options.interfaces) await startOn(each, options, (part) => parts.push(part))
  } catch (error) {
    await close()
    throw error
  }
  return { close }
}

async function startOn(
  { name, address }: DhcpServiceOptions['interfaces'][number],
  options: DhcpServiceOptions,
  keep: (part: { close(): Promise<void> }) => void,
): Promise<void> {
  const { settings, log, installation, onEvent } = options
  const server = { address, httpPort: options.httpPort, programs: options.programs }
  const probe = settings.probe === 'arp' && settings.mode !== 'proxy' ? new ArpProbe(name, log) : undefined
  if (probe) keep(probe)
  const current: Current = { mode: settings.mode === 'auto' ? 'undecided' : (settings.mode as Mode) }
  const onConflict = (taken: string, user: string) =>
    log.warn({ event: 'dhcp-conflict', address: taken, user, interface: name })
  const isServing = () => current.mode === 'server'
  const spares = probe && new SpareAddresses({ leases: options.leases, probe, onConflict, isServing })
  if (spares) keep({ close: async () => spares.close() })
  current.onServing = () => spares?.refresh()
  const context = readContext({
    ...options,
    server,
    interface: name,
    ownAddresses: options.interfaces.map((each) => each.address),
    probe,
    spares,
    onConflict,
  })
  for (const subnet of context.subnets) {
    if (subnet.interface === name || subnet.contains(address)) spares?.keep(subnet.poolFor([]))
  }
  const proxy = { server, loops: new BootLoops() }
  const decideAt =
    (port: number) =>
    (request: DhcpPacket, client: Client): Decision | Promise<Decision> => {
      const silent = (reason: string): Decision => ({
        type: 'ignored',
        client,
        road: undefined,
        reason,
      })
      if (current.mode === 'undecided') return silent('looking for another server first')
      if (isOwnQuestion(request, installation)) return silent('a question of our own')
      if (current.mode === 'proxy') return decideProxy(request, proxy, port, client)
      return port === ports.server
        ? decide(request, context, client)
        : silent('addresses are given out here: nobody asks twice')
    }
  for (const { port, size } of socketsFor(settings.mode, [name])) {
    if (size) continue
    if (port === ports.client) keep(await follow(name, current, options))
    else keep(await startDhcp({ interface: name, port, decide: decideAt(port), log, onEvent }))
  }
  if (settings.mode !== 'auto') log.info({ event: 'dhcp-mode', mode: settings.mode, interface: name })
}

/** `auto`: looks for another server, now and again; a change is told. */
async function follow(
  name: string,
  current: Current,
  { installation, interfaces, log }: DhcpServiceOptions,
): Promise<{ close(): Promise<void> }> {
  const socket = await openSocket({ interface: name, port: ports.client })
  socket.on('error', (error) => log.error({ event: 'dhcp-socket', reason: error.message }))
  const own = interfaces.map(({ address }) => address)
  let inVain = 0
  const look = async () => {
    const mac = networkInterfaces()[name]?.[0]?.mac ?? '00:00:00:00:00:00'
    const other = await findOtherServer(socket, { mac, installation, own })
    inVain = other === undefined ? inVain + 1 : 0
    const becomes = (mode: Mode, why: object) => {
      if (current.mode !== mode) log.warn({ event: 'dhcp-mode', mode, interface: name, ...why })
      const before = current.mode
      current.mode = mode
      if (mode === 'server' && before !== mode) current.onServing?.()
    }
    if (other !== undefined) becomes('proxy', { reason: `${other} gives out addresses here` })
    else if (current.mode !== 'proxy' || inVain >= looksInVain) becomes('server', { reason: 'no other server answers' })
  }
  const ending = new AbortController()
  const looking = (async () => {
    await look()
    for await (const _ of every(lookEvery, undefined, { signal: ending.signal })) await look()
  })().catch(() => {})
  return {
    async close() {
      ending.abort()
      await looking
      await new Promise<void>((resolve) => socket.close(() => resolve()))
    },
  }
}
