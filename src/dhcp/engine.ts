import { bind } from './bind.ts'
import type { ClientClass } from './classes.ts'
import type { DhcpContext } from './context.ts'
import { type Decision, type Exchange, ignored, summary, tell } from './exchange.ts'
import { type Client, identify } from './firmware.ts'
import { messageType, readOption } from './options.ts'
import { type DhcpPacket, noAddress } from './packet.ts'
import { informAckOf, offerOf, type Told } from './reply.ts'
import { roadOf } from './roads.ts'
import { type Place, placeIn, subnetsOf } from './whereabouts.ts'

/** An address found in use by a stranger is left alone for this long. Seconds. */
const declineHold = 3600

/** An address that a stranger answers for is passed over; after so many the client has to ask again. */
const mostConflicts = 4

/**
 * Answers one message of a client (RFC 2131 §4.3). A reply is returned only after the lease table has taken the write; at
 * once, and not as a promise, where there is nothing to write or to ask for. Rejects when the table does, with nothing
 * promised to the client.
 */
export function decide(
  request: DhcpPacket,
  context: DhcpContext,
  asking: Client = identify(request),
): Decision | Promise<Decision> {
  const kind = messageType(request.options)
  const client = context.loops.straighten(asking, kind === 'request')
  const classes = classesOf(client, context)
  const names = classes.length === 0 ? noNames : classes.map(({ name }) => name)
  const subnets = subnetsOf(request, client, context)
  const exchange: Exchange = {
    context,
    request,
    client,
    classes,
    road: roadOf(client),
    places: subnets.map((subnet) => placeIn(subnet, client, names)),
    serverIdentifier: client.relay?.serverIdentifier ?? context.server.address,
  }
  if (request.op !== 1) return ignored(exchange, 'no request of a client')
  if (request.htype !== 1 || request.chaddr.length !== 6) return ignored(exchange, 'no Ethernet address')
  switch (kind) {
    case 'discover':
      return discover(exchange)
    case 'request':
      return bind(exchange)
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

const noClasses: readonly ClientClass[] = []
const noNames: readonly string[] = []

const classesOf = (client: Client, { classes }: DhcpContext) =>
  classes.length === 0 ? noClasses : classes.filter((each) => each.matches(client))

/** A subnet with a reservation for the client goes first; then each in turn, until one has an address. */
function discover(exchange: Exchange): Decision | Promise<Decision> {
  const { places, context } = exchange
  if (places.length === 0) return ignored(exchange, 'no subnet for where it comes from')
  const first = places.find((place) => place.reservation) ?? places[0]!
  const known = context.leases.knownOffer(first.pool, first.holder, context.offerHold)
  return known !== undefined && !isAskedFor(exchange, known) ? offer(exchange, first, known) : findAddress(exchange)
}

async function findAddress(exchange: Exchange): Promise<Decision> {
  const { places, context } = exchange
  const inOrder = [...places.filter((place) => place.reservation), ...places.filter((place) => !place.reservation)]
  for (const place of inOrder) {
    const address = await holdAddress(exchange, place)
    if (address !== undefined) return offer(exchange, place, address)
  }
  const reason = `no free address in ${context.subnets.length === 0 ? 'any subnet' : cidrs(places)}`
  return { ...ignored(exchange, reason), exhausted: true }
}

/** Somebody may use it that we do not know of: the answer on the wire is still waited for. */
const isAskedFor = ({ request, context }: Exchange, address: string): boolean =>
  request.giaddr === noAddress && context.probe?.isPending(address) === true

function offer(exchange: Exchange, place: Place, address: string): Decision | Promise<Decision> {
  const offered = (told: Told): Decision => ({
    ...summary(exchange),
    type: 'offer',
    address,
    reply: offerOf(exchange, address, told),
  })
  const told = tell(exchange, place)
  return told instanceof Promise ? told.then(offered) : offered(told)
}

const cidrs = (places: readonly Place[]) => places.map(({ subnet }) => subnet.cidr).join(', ')

/**
 * An address held for the client. One that it never had is first asked for on the wire (RFC 2131 §2.2); relayed clients'
 * are not, for their wire is not ours. An address that a stranger answers for is set aside.
 */
async function holdAddress({ request, context, client }: Exchange, place: Place): Promise<string | undefined> {
  const { leases, offerHold } = context
  const probe = request.giaddr === noAddress ? context.probe : undefined
  const wanted = readOption(request.options, 'requestedAddress')
  for (let conflicts = 0; conflicts < mostConflicts; conflicts++) {
    const spares = probe && !place.reservation ? context.spares : undefined
    const spare = spares?.take(place.pool)
    const offer = await leases.offer(place.pool, place.holder, wanted, offerHold, spare?.address)
    if (spare && offer?.known) spares?.putBack(place.pool, spare)
    else if (spare) spares?.replace(place.pool, spare)
    if (!offer || !probe || offer.address === spare?.address) return offer?.address
    if (offer.known && !probe.isPending(offer.address)) return offer.address
    const user = await probe.ask(offer.address)
    if (user === undefined || user === client.mac) return offer.address
    await leases.decline(place.pool.subnet, place.holder, offer.address, declineHold)
    context.onConflict?.(offer.address, user)
  }
  return undefined
}

/** RELEASE and DECLINE name the server that they are for (RFC 2131 §4.4.1, table 5): the client's, or none. */
function isForAnother({ request, context, serverIdentifier }: Exchange): boolean {
  const named = readOption(request.options, 'serverIdentifier')
  return named !== undefined && named !== serverIdentifier && !context.ownAddresses.includes(named)
}

async function release(exchange: Exchange): Promise<Decision> {
  const { context, places, request } = exchange
  if (isForAnother(exchange)) return ignored(exchange, 'meant for another server')
  const place = places.find(({ subnet }) => subnet.contains(request.ciaddr))
  const done = place && (await context.leases.release(place.subnet.cidr, place.holder, request.ciaddr))
  if (!done) return ignored(exchange, `does not hold ${request.ciaddr}`)
  return { ...summary(exchange), type: 'release', address: request.ciaddr }
}

async function decline(exchange: Exchange): Promise<Decision> {
  const { context, places, request } = exchange
  if (isForAnother(exchange)) return ignored(exchange, 'meant for another server')
  const address = readOption(request.options, 'requestedAddress') ?? noAddress
  const place = places.find(({ subnet }) => subnet.contains(address))
  const done = place && (await context.leases.decline(place.subnet.cidr, place.holder, address, declineHold))
  if (!done) return ignored(exchange, `does not hold ${address}`)
  return { ...summary(exchange), type: 'decline', address, reason: 'found in use by somebody else' }
}

/** Parameters for a host with an address of its own (RFC 2131 §4.3.5); never to one outside the subnets: it may be forged. */
async function inform(exchange: Exchange): Promise<Decision> {
  const { places, request } = exchange
  const place = places.find(({ subnet }) => subnet.contains(request.ciaddr))
  if (!place) return ignored(exchange, `${request.ciaddr} is in no subnet of ours`)
  const told = { ...(await tell(exchange, place)), lease: undefined }
  return { ...summary(exchange), type: 'inform', address: request.ciaddr, reply: informAckOf(exchange, told) }
}
