import { overlay } from './named-options.ts'
import { messageTypes, type Options, readOption, writeOptions } from './options.ts'
import { broadcastFlag, type DhcpPacket, DhcpPacketError, encodePacket, noAddress } from './packet.ts'
import type { BootAnswer } from './roads.ts'

/** What every reply is made from. */
export interface Asked {
  readonly request: DhcpPacket
  /** What the client is to know this server by: its address, unless the relay wants its own there (RFC 5107). */
  readonly serverIdentifier: string
}

/** What the client is told beside its address. */
export interface Told {
  /** Seconds; undefined for a client that has its address from elsewhere. */
  readonly lease: number | undefined
  readonly boot: BootAnswer | undefined
  /** Of the settings, the group and the node; they stand over what the server would say itself. */
  readonly options: Options
}

export const offerOf = (asked: Asked, address: string, told: Told): DhcpPacket =>
  reply(asked, messageTypes.offer, address, told)

export const ackOf = (asked: Asked, address: string, told: Told): DhcpPacket => ({
  ...reply(asked, messageTypes.ack, address, told),
  ciaddr: asked.request.ciaddr,
})

/** Neither address nor lease time (RFC 2131 §4.3.5). */
export const informAckOf = (asked: Asked, told: Told): DhcpPacket => ackOf(asked, noAddress, told)

const nothing: Told = { lease: undefined, boot: undefined, options: new Map() }

/** Says no and why. Broadcast even through a relay, for the client's address is not to be trusted (RFC 2131 §4.3.2). */
export function nakOf(asked: Asked, reason: string): DhcpPacket {
  const nak = reply(asked, messageTypes.nak, noAddress, { ...nothing, options: writeOptions({ message: reason }) })
  const echoed = new Map([...nak.options].filter(([code]) => code !== 97))
  const flags = asked.request.giaddr === noAddress ? nak.flags : nak.flags | broadcastFlag
  return { ...nak, flags, options: echoed }
}

/** RFC 2131 §4.3.1, table 3. */
function reply({ request, serverIdentifier }: Asked, messageType: number, yiaddr: string, told: Told): DhcpPacket {
  const { lease, boot, options } = told
  const times = {
    leaseTime: lease,
    // RFC 2131 §4.4.5.
    renewalTime: lease && Math.floor(lease / 2),
    rebindingTime: lease && Math.floor(lease * 0.875),
  }
  const named = readOption(options, 'bootFile')
  return {
    op: 2,
    htype: request.htype,
    hops: 0,
    xid: request.xid,
    secs: 0,
    flags: request.flags,
    ciaddr: noAddress,
    yiaddr,
    siaddr: boot?.siaddr ?? noAddress,
    giaddr: request.giaddr,
    chaddr: request.chaddr,
    sname: '',
    file: (named !== undefined && named.length < 128 ? named : boot?.file) ?? '',
    options: inOrder(
      overlay(
        writeOptions({ messageType, serverIdentifier }),
        boot?.options,
        writeOptions(times),
        options,
        echoed(request.options),
      ),
    ),
  }
}

/**
 * OVMF writes a NUL over the byte after option 67, which is the next option's number: it then misreads the rest, finds
 * no subnet mask and declines the lease. So 67 stands last, but for option 82, which the relay takes away.
 */
function inOrder(options: Options): Options {
  const late = [67, 82]
  const ordered = new Map([...options].filter(([code]) => !late.includes(code)))
  for (const code of late) if (options.has(code)) ordered.set(code, options.get(code)!)
  return ordered
}

/**
 * What goes back as it came: client identifier (RFC 6842), machine identifier (RFC 4578), relay information (RFC 3046),
 * subnet selection (RFC 3011 §2).
 */
function echoed(options: Options): Map<number, Buffer> {
  const back = new Map<number, Buffer>()
  for (const code of [61, 97, 118, 82]) {
    const value = options.get(code)
    if (value) back.set(code, value)
  }
  return back
}

/** No client works without these, nor a relay without 82. */
const needed: ReadonlySet<number> = new Set([1, 43, 51, 53, 54, 60, 61, 67, 82, 97])

/**
 * A reply as bytes. A small client (option 57) gets what fits: first go the options that it did not ask for (option 55),
 * then the others but those that nobody can do without, each time the last.
 */
export function encodeReply(reply: DhcpPacket, request: DhcpPacket): Buffer {
  const maximumSize = readOption(request.options, 'maximumSize')
  const asked = readOption(request.options, 'parameterList')
  const options = [...reply.options]
  for (;;) {
    try {
      return encodePacket({ ...reply, options: new Map(options) }, maximumSize)
    } catch (error) {
      if (!(error instanceof DhcpPacketError) || error.fault !== 'too-long') throw error
      const unasked = options.findLastIndex(([code]) => !needed.has(code) && !asked?.includes(code))
      const victim = unasked >= 0 ? unasked : options.findLastIndex(([code]) => !needed.has(code))
      if (victim < 0) throw error
      options.splice(victim, 1)
    }
  }
}

export const ports = { server: 67, client: 68, bootServer: 4011 }

/**
 * Where a reply goes (RFC 2131 §4.1): to the relay, to a client that has an address, or to all; a boot server answers
 * from where it was asked. Clients without an
 * address get a broadcast whatever their broadcast flag says: Node cannot tell the kernel their hardware address.
 */
export function destinationOf(
  reply: DhcpPacket,
  request: DhcpPacket,
  source: { readonly address: string; readonly port: number },
  ownPort = ports.server,
): { readonly address: string; readonly port: number } {
  if (ownPort === ports.bootServer) return source
  if (request.giaddr !== noAddress) {
    return { address: request.giaddr, port: source.address === request.giaddr ? source.port : ports.server }
  }
  if (request.ciaddr !== noAddress && readOption(reply.options, 'messageType') !== messageTypes.nak) {
    return { address: request.ciaddr, port: ports.client }
  }
  return { address: '255.255.255.255', port: ports.client }
}
