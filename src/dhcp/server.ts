import type { RemoteInfo } from 'node:dgram'
import type { Logger } from '../config/log.ts'
import type { Decision, DhcpEventType } from './exchange.ts'
import { type Client, identify, type Speaker } from './firmware.ts'
import { messageType, messageTypes } from './options.ts'
import { Outbox } from './outbox.ts'
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
  readonly decide: (request: DhcpPacket, client: Client) => Decision | Promise<Decision>
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

/** Serves DHCP on one port of one interface. Throws SOCKET_UNAVAILABLE. */
export async function startDhcp(options: DhcpOptions): Promise<DhcpServer> {
  const { log, port } = options
  const socket = await openSocket({ interface: options.interface, port })
  let underWay = 0
  const tally = new DhcpTally(log)
  const outbox = await Outbox.open(socket, { interface: options.interface, port }, log)
  const serving = { ...options, outbox, tally }
  const done = () => {
    underWay--
  }

  socket.on('message', (bytes, source) => {
    if (underWay >= mostBegun && (underWay >= mostAtOnce || beginsExchange(bytes))) {
      tally.dropped()
      return
    }
    const answering = answer(bytes, source, serving)
    if (!answering) return
    underWay++
    void answering.then(done)
  })
  socket.on('error', (error) => log.error({ event: 'dhcp-socket', reason: error.message }))
  log.info({ event: 'dhcp-listening', interface: options.interface, port })

  return {
    close() {
      tally.close()
      return outbox.close()
    },
  }
}

/** A DISCOVER, seen without decoding: clients put its type first. One that does not is found out later than others. */
const beginsExchange = (bytes: Buffer) => bytes[240] === 53 && bytes[242] === messageTypes.discover

interface Serving extends DhcpOptions {
  readonly outbox: Outbox
  readonly tally: DhcpTally
}

/**
 * Never throws or rejects: whatever goes wrong with one message is logged, and the client asks again. A promise only where
 * the answer has to wait: one for each datagram, and what it holds on to, costs more than most answers do.
 */
function answer(bytes: Buffer, source: RemoteInfo, serving: Serving): Promise<void> | undefined {
  try {
    const request = decodePacket(bytes)
    const asked = messageType(request.options)
    const client = identify(request)
    if (asked === 'discover' || asked === 'request') serving.onEvent(eventOf(asked, request, { client }))
    const decision = serving.decide(request, client)
    if (!(decision instanceof Promise)) {
      conclude(decision, request, source, serving)
      return undefined
    }
    return decision
      .then((decided) => conclude(decided, request, source, serving))
      .catch((error) => complain(error, source, serving))
  } catch (error) {
    complain(error, source, serving)
    return undefined
  }
}

function conclude(decision: Decision, request: DhcpPacket, source: RemoteInfo, serving: Serving): void {
  const { outbox, tally, log, onEvent } = serving
  if (decision.reply && outbox.isFull) tally.dropped()
  else if (decision.reply) {
    outbox.send(encodeReply(decision.reply, request), destinationOf(decision.reply, request, source, serving.port))
  }
  tally.decided(decision.type)
  if (decision.exhausted) tally.exhausted(decision.client.mac, decision.reason)
  report(decision, request, log)
  onEvent(eventOf(decision.type, request, decision))
}

function complain(error: unknown, source: RemoteInfo, { log, tally }: Serving): void {
  if (error instanceof DhcpPacketError) {
    tally.malformed()
    log.debug({ event: 'dhcp-malformed', from: source.address, fault: error.fault, reason: error.message })
  } else tally.unanswered(error)
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
