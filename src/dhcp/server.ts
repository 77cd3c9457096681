import type { RemoteInfo, Socket } from 'node:dgram'
import type { Logger } from '../config/log.ts'
import type { Decision, DhcpEventType } from './exchange.ts'
import { type Client, identify, type Speaker } from './firmware.ts'
import { messageType, messageTypes } from './options.ts'
import { type DhcpPacket, DhcpPacketError, decodePacket } from './packet.ts'
import { destinationOf, encodeReply } from './reply.ts'
import { openSocket } from './sockets.ts'
import { DhcpTally } from './tally.ts'

export interface DhcpOptions {
  /** The boot interface; its socket must have been inherited, see `ensureSockets`. */
  readonly interface: string
  /** UDP port: that of DHCP servers, or that of boot servers. */
  readonly port: number
  /** What is answered to one message; see engine.ts and proxy.ts. */
  readonly decide: (request: DhcpPacket, client: Client) => Promise<Decision>
  readonly log: Logger
  readonly onEvent: (event: DhcpEvent) => void
}

/** One message received or sent, for the node's timeline. */
export interface DhcpEvent {
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

/**
 * Requests being answered at once: beyond, they are dropped, and clients ask again. It keeps memory flat when more
 * comes in than Redis can take.
 */
const mostAtOnce = 4096
/** From here on, nothing new is begun: what is under way is finished first. */
const mostBegun = 2048

/** Answers that wait for the kernel to take them. Beyond, who asked asks again: forged addresses fill any queue. */
const mostUnsent = 512

/** Serves DHCP on one port of one interface. Throws SOCKET_UNAVAILABLE. */
export async function startDhcp(options: DhcpOptions): Promise<DhcpServer> {
  const { log, port } = options
  const socket = await openSocket({ interface: options.interface, port })
  let underWay = 0
  const tally = new DhcpTally(log)
  const done = () => {
    underWay--
  }

  socket.on('message', (bytes, source) => {
    if (underWay >= mostBegun && (underWay >= mostAtOnce || beginsExchange(bytes))) {
      tally.dropped()
      return
    }
    underWay++
    void answer(bytes, source, socket, options, tally).then(done)
  })
  socket.on('error', (error) => log.error({ event: 'dhcp-socket', reason: error.message }))
  log.info({ event: 'dhcp-listening', interface: options.interface, port })

  return {
    close() {
      tally.close()
      return new Promise((resolve) => socket.close(resolve))
    },
  }
}

/** A DISCOVER, seen without decoding: clients put its type first. One that does not is found out later than others. */
const beginsExchange = (bytes: Buffer) => bytes[240] === 53 && bytes[242] === messageTypes.discover

/** Never rejects: whatever goes wrong with one message is logged, and the client asks again. */
async function answer(
  bytes: Buffer,
  source: RemoteInfo,
  socket: Socket,
  { log, onEvent, decide, port: ownPort }: DhcpOptions,
  tally: DhcpTally,
): Promise<void> {
  try {
    const request = decodePacket(bytes)
    const asked = messageType(request.options)
    const client = identify(request)
    if (asked === 'discover' || asked === 'request') onEvent(eventOf(asked, request, { client }))
    const decision = await decide(request, client)
    if (decision.reply && socket.getSendQueueCount() >= mostUnsent) tally.dropped()
    else if (decision.reply) {
      const { address, port } = destinationOf(decision.reply, request, source, ownPort)
      socket.send(encodeReply(decision.reply, request), port, address, (error) => {
        if (error) log.warn({ event: 'dhcp-send', mac: decision.client.mac, to: address, reason: error.message })
      })
    }
    tally.decided(decision.type)
    if (decision.exhausted) tally.exhausted(decision.client.mac, decision.reason)
    report(decision, request, log)
    onEvent(eventOf(decision.type, request, decision))
  } catch (error) {
    if (error instanceof DhcpPacketError) {
      tally.malformed()
      log.debug({ event: 'dhcp-malformed', from: source.address, fault: error.fault, reason: error.message })
    } else {
      tally.unanswered(error)
    }
  }
}

/** The usual is logged for whoever asks for it: the tally tells how much there was, the node's boot tells when. */
function report(decision: Decision, request: DhcpPacket, log: Logger): void {
  const { type, address, reason, road, client } = decision
  const level = type === 'nak' || type === 'decline' ? 'warn' : 'debug'
  if (!log.isLevelEnabled(level)) return
  log[level]({ event: `dhcp-${type}`, mac: client.mac, xid: request.xid, address, road: road?.name, reason })
}

type Writable<T> = { -readonly [Name in keyof T]: T[Name] }

function eventOf(
  type: DhcpEventType,
  request: DhcpPacket,
  decision: Pick<Decision, 'client'> & Partial<Decision>,
): DhcpEvent {
  const { mac, speaker, architecture, userClass, vendorClass } = decision.client
  const event: Writable<DhcpEvent> = { type, mac, speaker, xid: request.xid, at: Date.now() }
  if (architecture !== undefined) event.arch = architecture
  if (userClass !== undefined) event.userClass = userClass
  if (vendorClass !== undefined) event.vendorClass = vendorClass
  if (decision.road !== undefined) event.road = decision.road.name
  if (decision.address !== undefined) event.address = decision.address
  if (decision.reason !== undefined) event.reason = decision.reason
  return event
}
