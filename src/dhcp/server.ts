import type { RemoteInfo, Socket } from 'node:dgram'
import type { Logger } from '../config/log.ts'
import type { Settings } from '../config/settings.ts'
import type { Leases } from '../state/leases.ts'
import { type Decision, type DhcpContext, type DhcpEventType, decide } from './engine.ts'
import { identify, type Speaker } from './firmware.ts'
import { messageType, readOption } from './options.ts'
import { type DhcpPacket, DhcpPacketError, decodePacket } from './packet.ts'
import { destinationOf, encodeReply } from './reply.ts'
import { openSocket } from './sockets.ts'
import { readSubnets } from './subnets.ts'

export interface DhcpOptions {
  /** The boot interface; its socket must have been inherited, see `ensureSockets`. */
  readonly interface: string
  /** This server's IPv4 address on it. */
  readonly address: string
  /** The port that nodes ask by HTTP. */
  readonly httpPort: number
  readonly settings: Settings['dhcp']
  readonly leases: Leases
  readonly log: Logger
  readonly onEvent: (event: DhcpEvent) => void
}

/** One message received or sent, for the node's timeline. */
interface DhcpEvent {
  readonly type: DhcpEventType
  readonly mac: string
  /** What on the node speaks: firmware, iPXE or its operating system. */
  readonly speaker: Speaker
  readonly xid: number
  readonly address?: string
  readonly arch?: number
  readonly userClass?: string
  readonly vendorClass?: string
  /** The road (see roads.ts) that a reply puts the node on; absent for a running operating system. */
  readonly road?: string
  /** Why it was refused or ignored. */
  readonly reason?: string
  /** Milliseconds since 1970. */
  readonly at: number
}

export interface DhcpServer {
  close(): Promise<void>
}

/** The port that DHCP servers and relays listen at. */
export const serverPort = 67

/**
 * Requests being answered at once: beyond, they are dropped, and clients ask again. It keeps memory flat when more
 * comes in than Redis can take.
 */
const mostAtOnce = 1024

/** Serves DHCP on one interface. Throws DHCP_SETTINGS_INVALID and SOCKET_UNAVAILABLE. */
export async function startDhcp(options: DhcpOptions): Promise<DhcpServer> {
  const { leases, log } = options
  const context: DhcpContext = {
    server: { address: options.address, httpPort: options.httpPort },
    subnets: readSubnets(options.settings.subnets, options.address),
    offerHold: options.settings.offerHold,
    leases,
  }
  const socket = await openSocket({ interface: options.interface, port: serverPort })
  let underWay = 0
  const dropped = countedWarning(log, 'dhcp-overload', 'more requests than can be answered')

  socket.on('message', (bytes, source) => {
    if (underWay >= mostAtOnce) {
      dropped()
      return
    }
    underWay++
    void answer(bytes, source, socket, context, options).finally(() => underWay--)
  })
  socket.on('error', (error) => log.error({ event: 'dhcp-socket', reason: error.message }))
  log.info({ event: 'dhcp-listening', interface: options.interface, address: options.address })

  return { close: () => new Promise((resolve) => socket.close(resolve)) }
}

/** Never rejects: whatever goes wrong with one message is logged, and the client asks again. */
async function answer(
  bytes: Buffer,
  source: RemoteInfo,
  socket: Socket,
  context: DhcpContext,
  { log, onEvent }: DhcpOptions,
): Promise<void> {
  try {
    const request = decodePacket(bytes)
    const asked = messageType(request.options)
    if (asked === 'discover' || asked === 'request') onEvent(eventOf(asked, request))
    const decision = await decide(request, context)
    if (decision.reply) {
      const { address, port } = destinationOf(decision.reply, request, source)
      socket.send(encodeReply(decision.reply, readOption(request.options, 'maximumSize')), port, address, (error) => {
        if (error) log.warn({ event: 'dhcp-send', mac: decision.client.mac, to: address, reason: error.message })
      })
    }
    report(decision, request, log)
    onEvent(eventOf(decision.type, request, decision))
  } catch (error) {
    if (error instanceof DhcpPacketError) {
      log.debug({ event: 'dhcp-malformed', from: source.address, fault: error.fault, reason: error.message })
    } else {
      log.error({ event: 'dhcp-unanswered', from: source.address, reason: String(error) })
    }
  }
}

function report(decision: Decision, request: DhcpPacket, log: Logger): void {
  const { type, address, reason, road, client } = decision
  const fields = { event: `dhcp-${type}`, mac: client.mac, xid: request.xid, address, road: road?.name, reason }
  if (type === 'nak' || type === 'decline') log.warn(fields)
  else if (type === 'ignored') log.debug(fields)
  else log.info(fields)
}

function eventOf(type: DhcpEventType, request: DhcpPacket, decision?: Decision): DhcpEvent {
  const { mac, speaker, architecture, userClass, vendorClass } = decision?.client ?? identify(request)
  return {
    type,
    mac,
    speaker,
    xid: request.xid,
    at: Date.now(),
    ...(architecture === undefined ? {} : { arch: architecture }),
    ...(userClass === undefined ? {} : { userClass }),
    ...(vendorClass === undefined ? {} : { vendorClass }),
    ...(decision?.road === undefined ? {} : { road: decision.road.name }),
    ...(decision?.address === undefined ? {} : { address: decision.address }),
    ...(decision?.reason === undefined ? {} : { reason: decision.reason }),
  }
}

/** Warns at most once in ten seconds, with how often it happened. */
function countedWarning(log: Logger, event: string, reason: string): () => void {
  let count = 0
  let last = Number.NEGATIVE_INFINITY
  return () => {
    count++
    if (performance.now() - last < 10_000) return
    last = performance.now()
    log.warn({ event, reason, count })
    count = 0
  }
}
