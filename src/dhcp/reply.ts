import { overlay } from './named-options.ts'
import { LayeredOptions, written } from './option-bytes.ts'
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
  const { boot } = told
  const alike = toldAlike(told, messageType, serverIdentifier)
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
    file: alike.file,
    options: echo(alike, request.options),
  }
}

/** What a reply says to all that are told the same. */
interface Alike {
  readonly messageType: number
  readonly serverIdentifier: string
  readonly file: string
  /** In their order, without the boot file. */
  readonly options: Options
  /** The boot file alone, where there is one. */
  readonly last: Options
  /** Both: what a client gets that nothing is sent back to. */
  readonly whole: Options
}

/** Relays may name ever new server identifiers. */
const known = new WeakMap<Told, Alike[]>()
const mostKnown = 16

function toldAlike(told: Told, messageType: number, serverIdentifier: string): Alike {
  const all = known.get(told) ?? []
  if (all.length === 0) known.set(told, all)
  for (const each of all) {
    if (each.messageType === messageType && each.serverIdentifier === serverIdentifier) return each
  }
  const { lease, boot } = told
  const times = {
    leaseTime: lease,
    // RFC 2131 §4.4.5.
    renewalTime: lease && Math.floor(lease / 2),
    rebindingTime: lease && Math.floor(lease * 0.875),
  }
  const named = readOption(told.options, 'bootFile')
  const type = writeOptions({ messageType, serverIdentifier })
  const options = overlay(type, boot?.options, writeOptions(times), told.options)
  const bootFile = options.get(67)
  options.delete(67)
  const file = (named !== undefined && named.length < 128 ? named : boot?.file) ?? ''
  written(options)
  const last = written(new Map(bootFile && [[67, bootFile]]))
  const whole = written(overlay(options, last))
  const alike = { messageType, serverIdentifier, file, options, last, whole }
  if (all.length >= mostKnown) all.length = 0
  all.push(alike)
  return alike
}

/**
 * With what goes back as it came: client identifier (RFC 6842), machine identifier (RFC 4578), subnet selection (RFC 3011
 * §2), relay information (RFC 3046).
 *
 * OVMF writes a NUL over the byte after option 67, which is the next option's number: it then misreads the rest, finds
 * no subnet mask and declines the lease. So 67 stands last, but for option 82, which the relay takes away.
 */
function echo({ options, last, whole }: Alike, asked: Options): Options {
  const relay = asked.get(82)
  let own: Map<number, Buffer> | undefined
  for (const code of echoed) {
    const value = asked.get(code)
    if (value) own = (own ?? new Map<number, Buffer>()).set(code, value)
  }
  if (!own && !relay) return whole
  const layers = own ? [options, own, last] : [whole]
  if (relay) layers.push(new Map([[82, relay]]))
  return new LayeredOptions(layers)
}

/** No settings have these, nor 82: see `ownOptions`. */
const echoed = [61, 97, 118]

/** No client works without these, nor a relay without 82. */
const needed: ReadonlySet<number> = new Set([1, 43, 51, 53, 54, 60, 61, 67, 82, 97])

/**
 * A reply as bytes. A small client (option 57) gets what fits: first go the options that it did not ask for (option 55),
 * then the others but those that nobody can do without, each time the last.
 */
export function encodeReply(reply: DhcpPacket, request: DhcpPacket): Buffer {
  const maximumSize = readOption(request.options, 'maximumSize')
  try {
    return encodePacket(reply, maximumSize)
  } catch (error) {
    if (!isTooLong(error)) throw error
    return encodeWhatFits(reply, maximumSize, readOption(request.options, 'parameterList'))
  }
}

const isTooLong = (error: unknown) => error instanceof DhcpPacketError && error.fault === 'too-long'

function encodeWhatFits(reply: DhcpPacket, maximumSize: number | undefined, asked: Buffer | undefined): Buffer {
  const options = [...reply.options]
  for (;;) {
    const unasked = options.findLastIndex(([code]) => !needed.has(code) && !asked?.includes(code))
    const victim = unasked >= 0 ? unasked : options.findLastIndex(([code]) => !needed.has(code))
    if (victim < 0) return encodePacket({ ...reply, options: new Map(options) }, maximumSize)
    options.splice(victim, 1)
    try {
      return encodePacket({ ...reply, options: new Map(options) }, maximumSize)
    } catch (error) {
      if (!isTooLong(error)) throw error
    }
  }
}

export const ports = { server: 67, client: 68, bootServer: 4011 }

export interface Destination {
  readonly address: string
  readonly port: number
}

/**
 * Where a reply goes (RFC 2131 §4.1): to the relay, to a client that has an address, or to all; a boot server answers
 * from where it was asked. Clients without an
 * address get a broadcast whatever their broadcast flag says: Node cannot tell the kernel their hardware address.
 */
export function destinationOf(
  reply: DhcpPacket,
  request: DhcpPacket,
  source: Destination,
  ownPort = ports.server,
): Destination {
  if (ownPort === ports.bootServer) return source
  if (request.giaddr !== noAddress) {
    return { address: request.giaddr, port: source.address === request.giaddr ? source.port : ports.server }
  }
  if (request.ciaddr !== noAddress && readOption(reply.options, 'messageType') !== messageTypes.nak) {
    return { address: request.ciaddr, port: ports.client }
  }
  return { address: '255.255.255.255', port: ports.client }
}
