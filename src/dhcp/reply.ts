import { messageTypes, type OptionName, type Options, readOption, writeOptions } from './options.ts'
import { broadcastFlag, type DhcpPacket, DhcpPacketError, encodePacket, noAddress } from './packet.ts'
import type { BootAnswer, BootServer, Road } from './roads.ts'
import type { Subnet } from './subnets.ts'

/** What every reply is made from. */
interface Asked {
  readonly request: DhcpPacket
  readonly server: BootServer
  readonly road: Road | undefined
}

export const offerOf = (asked: Asked, subnet: Subnet, address: string): DhcpPacket =>
  granting(asked, subnet, address, messageTypes.offer)

export const ackOf = (asked: Asked, subnet: Subnet, address: string): DhcpPacket => ({
  ...granting(asked, subnet, address, messageTypes.ack),
  ciaddr: asked.request.ciaddr,
})

function granting(asked: Asked, subnet: Subnet, address: string, messageType: number): DhcpPacket {
  const times = {
    leaseTime: subnet.lease,
    // RFC 2131 §4.4.5.
    renewalTime: Math.floor(subnet.lease / 2),
    rebindingTime: Math.floor(subnet.lease * 0.875),
  }
  return reply(asked, messageType, { ...times, ...network(subnet) }, { yiaddr: address, boot: bootOf(asked) })
}

/** No address and no lease time (RFC 2131 §4.3.5). */
export const informAckOf = (asked: Asked, subnet: Subnet): DhcpPacket => ({
  ...reply(asked, messageTypes.ack, network(subnet), { yiaddr: noAddress, boot: bootOf(asked) }),
  ciaddr: asked.request.ciaddr,
})

/** Says no and why. Broadcast even through a relay, for the client's address is not to be trusted (RFC 2131 §4.3.2). */
export function nakOf(asked: Asked, reason: string): DhcpPacket {
  const nak = reply(asked, messageTypes.nak, { message: reason }, { yiaddr: noAddress, boot: undefined })
  return asked.request.giaddr === noAddress ? nak : { ...nak, flags: nak.flags | broadcastFlag }
}

const bootOf = ({ road, server }: Asked) => road?.answer(server)

type Values = Parameters<typeof writeOptions>[0]

const network = (subnet: Subnet): Values => ({
  subnetMask: subnet.mask,
  routers: subnet.router === undefined ? undefined : [subnet.router],
  nameServers: subnet.dns.length === 0 ? undefined : subnet.dns,
  domainName: subnet.domain,
  broadcastAddress: subnet.broadcast,
})

function reply(
  { request, server }: Asked,
  messageType: number,
  values: Values,
  { yiaddr, boot }: { yiaddr: string; boot: BootAnswer | undefined },
): DhcpPacket {
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
    file: boot?.file ?? '',
    options: inOrder([
      ...writeOptions({ messageType, serverIdentifier: server.address }),
      ...(boot?.options ?? []),
      ...writeOptions(values),
      ...echoed(request.options),
    ]),
  }
}

/**
 * Most needed first: what does not fit a small client is cut from the end. OVMF writes a NUL over the byte after option
 * 67, which is the next option's number: it then misreads the rest, finds no subnet mask and declines the lease. So 67
 * stands last, but for option 82, which the relay takes away.
 */
function inOrder(options: readonly (readonly [number, Buffer])[]): Options {
  const late = [67, 82]
  const ordered = new Map(options.filter(([code]) => !late.includes(code)))
  for (const [code, value] of options) if (late.includes(code)) ordered.set(code, value)
  return ordered
}

/** What goes back as it came: client identifier (RFC 6842), machine identifier (RFC 4578), relay information (RFC 3046). */
function echoed(options: Options): Options {
  const names: OptionName[] = ['clientIdentifier', 'machineIdentifier', 'relayAgent']
  return writeOptions(Object.fromEntries(names.map((name) => [name, readOption(options, name)])))
}

/** A reply as bytes. A small client gets what fits: the options that come last are left out. */
export function encodeReply(reply: DhcpPacket, maximumSize: number | undefined): Buffer {
  const options = [...reply.options]
  for (;;) {
    try {
      return encodePacket({ ...reply, options: new Map(options) }, maximumSize)
    } catch (error) {
      if (!(error instanceof DhcpPacketError) || error.fault !== 'too-long' || options.length === 0) throw error
      options.pop()
    }
  }
}

const ports = { server: 67, client: 68 }

/**
 * Where a reply goes (RFC 2131 §4.1): to the relay, to a client that has an address, or to all. Clients without an
 * address get a broadcast whatever their broadcast flag says: Node cannot tell the kernel their hardware address.
 */
export function destinationOf(
  reply: DhcpPacket,
  request: DhcpPacket,
  source: { readonly address: string; readonly port: number },
): { readonly address: string; readonly port: number } {
  if (request.giaddr !== noAddress) {
    return { address: request.giaddr, port: source.address === request.giaddr ? source.port : ports.server }
  }
  if (request.ciaddr !== noAddress && readOption(reply.options, 'messageType') !== messageTypes.nak) {
    return { address: request.ciaddr, port: ports.client }
  }
  return { address: '255.255.255.255', port: ports.client }
}
