import type { LeaseClient, Leases } from '../state/leases.ts'
import { type Client, identify } from './firmware.ts'
import { messageType, readOption } from './options.ts'
import { type DhcpPacket, noAddress } from './packet.ts'
import { ackOf, informAckOf, nakOf, offerOf } from './reply.ts'
import { type BootServer, type Road, roadOf } from './roads.ts'
import type { Subnet } from './subnets.ts'

/** What the engine answers from. */
export interface DhcpContext {
  readonly server: BootServer
  readonly subnets: readonly Subnet[]
  /** Seconds that an offered address is held for its client. */
  readonly offerHold: number
  readonly leases: Leases
}

/** The kinds of message, and `ignored` for what deserves no answer. */
export type DhcpEventType =
  | 'discover'
  | 'offer'
  | 'request'
  | 'ack'
  | 'nak'
  | 'release'
  | 'decline'
  | 'inform'
  | 'ignored'

/** What was decided: the reply, where there is one, and the reason, where there is none or it is a NAK. */
export interface Decision {
  readonly type: DhcpEventType
  readonly client: Client
  readonly road: Road | undefined
  readonly address?: string
  readonly reply?: DhcpPacket
  readonly reason?: string
}

/** A request with all that the answer follows from. */
interface Exchange extends DhcpContext {
  readonly request: DhcpPacket
  readonly client: Client
  readonly road: Road | undefined
  readonly subnet: Subnet | undefined
}

/** An address found in use by a stranger is left alone for this long. Seconds. */
const declineHold = 3600

/**
 * Answers one message of a client (RFC 2131 §4.3). A reply is returned only after the lease table has taken the write.
 * Rejects when the table does, with nothing promised to the client.
 */
export async function decide(request: DhcpPacket, context: DhcpContext): Promise<Decision> {
  const client = identify(request)
  const exchange = { ...context, request, client, road: roadOf(client), subnet: subnetOf(request, context) }
  if (request.op !== 1) return ignored(exchange, 'no request of a client')
  if (request.htype !== 1 || request.chaddr.length !== 6) return ignored(exchange, 'no Ethernet address')
  switch (messageType(request.options)) {
    case 'discover':
      return discover(exchange)
    case 'request':
      return answerRequest(exchange)
    case 'release':
      return release(exchange)
    case 'decline':
      return decline(exchange)
    case 'inform':
      return inform(exchange)
    default:
      return ignored(exchange, 'no message that a server answers')
  }
}

/** The relay's subnet; else the one that the client says it has its address in; else the one that this server is in. */
function subnetOf(request: DhcpPacket, { subnets, server }: DhcpContext): Subnet | undefined {
  const holding = (address: string) => subnets.find((subnet) => subnet.contains(address))
  if (request.giaddr !== noAddress) return holding(request.giaddr)
  return (request.ciaddr === noAddress ? undefined : holding(request.ciaddr)) ?? holding(server.address)
}

async function discover(exchange: Exchange): Promise<Decision> {
  const { subnet, client, leases, offerHold, request } = exchange
  if (!subnet) return ignored(exchange, 'no subnet for where it comes from')
  const wanted = readOption(request.options, 'requestedAddress')
  const address = await leases.offer(subnet.pool, holderOf(client), wanted, offerHold)
  if (address === undefined) return ignored(exchange, `no free address in ${subnet.cidr}`)
  return { ...summary(exchange), type: 'offer', address, reply: offerOf(exchange, subnet, address) }
}

/** Which of its four states the client is in follows from what it fills in (RFC 2131 §4.3.2, table 4). */
async function answerRequest(exchange: Exchange): Promise<Decision> {
  const { request, server, leases, client, subnet } = exchange
  const chosen = readOption(request.options, 'serverIdentifier')
  if (chosen !== undefined && chosen !== server.address) {
    if (subnet) await leases.withdraw(subnet.cidr, holderOf(client))
    return ignored(exchange, `chose the server ${chosen}`)
  }
  const requested = readOption(request.options, 'requestedAddress')
  // RENEWING and REBINDING fill in ciaddr; SELECTING and INIT-REBOOT ask by option 50.
  const address = request.ciaddr === noAddress ? requested : request.ciaddr
  if (address === undefined || address === noAddress) return ignored(exchange, 'asks for no address')
  if (!subnet) return ignored(exchange, 'no subnet for where it comes from')
  return bind(exchange, subnet, address)
}

async function bind(exchange: Exchange, subnet: Subnet, address: string): Promise<Decision> {
  const { leases, client } = exchange
  const refuse = (reason: string): Decision => ({
    ...summary(exchange),
    type: 'nak',
    address,
    reason,
    reply: nakOf(exchange, reason),
  })
  if (!subnet.fits(address)) return refuse(`${address} is no node's address in ${subnet.cidr}`)
  const holder = holderOf(client)
  if (!(await leases.commit(subnet.pool, holder, address, subnet.lease))) {
    return refuse(`${address} is not this client's`)
  }
  return { ...summary(exchange), type: 'ack', address, reply: ackOf(exchange, subnet, address) }
}

async function release(exchange: Exchange): Promise<Decision> {
  const { leases, subnet, client, request } = exchange
  const done = subnet && (await leases.release(subnet.cidr, holderOf(client), request.ciaddr))
  if (!done) return ignored(exchange, `does not hold ${request.ciaddr}`)
  return { ...summary(exchange), type: 'release', address: request.ciaddr }
}

async function decline(exchange: Exchange): Promise<Decision> {
  const { leases, subnet, client, request } = exchange
  const address = readOption(request.options, 'requestedAddress') ?? noAddress
  const done = subnet && (await leases.decline(subnet.cidr, holderOf(client), address, declineHold))
  if (!done) return ignored(exchange, `does not hold ${address}`)
  return { ...summary(exchange), type: 'decline', address, reason: 'found in use by somebody else' }
}

/** Parameters for a host with an address of its own (RFC 2131 §4.3.5); never to one outside the subnets: it may be forged. */
async function inform(exchange: Exchange): Promise<Decision> {
  const { subnet, request } = exchange
  if (!subnet?.contains(request.ciaddr)) return ignored(exchange, `${request.ciaddr} is in no subnet of ours`)
  return { ...summary(exchange), type: 'inform', address: request.ciaddr, reply: informAckOf(exchange, subnet) }
}

const holderOf = (client: Client): LeaseClient => ({ identity: client.identity, mac: client.mac })
const summary = ({ client, road }: Exchange) => ({ client, road })
const ignored = (exchange: Exchange, reason: string): Decision => ({ ...summary(exchange), type: 'ignored', reason })
