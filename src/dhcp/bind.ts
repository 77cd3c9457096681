import { type Decision, type Exchange, ignored, leaseOf, summary, tell } from './exchange.ts'
import { readOption } from './options.ts'
import { noAddress } from './packet.ts'
import { ackOf, nakOf, type Told } from './reply.ts'
import type { Place } from './whereabouts.ts'

/**
 * Answers a REQUEST. Which of its four states the client is in follows from what it fills in (RFC 2131 §4.3.2, table 4):
 * SELECTING names the server, INIT-REBOOT asks by option 50, RENEWING and REBINDING fill in ciaddr.
 */
export function bind(exchange: Exchange): Decision | Promise<Decision> {
  const { request, serverIdentifier, context, places } = exchange
  const chosen = readOption(request.options, 'serverIdentifier')
  if (chosen !== undefined && chosen !== serverIdentifier && !context.ownAddresses.includes(chosen)) {
    return withdraw(exchange, chosen)
  }
  const asked = readOption(request.options, 'requestedAddress')
  const address = request.ciaddr === noAddress ? asked : request.ciaddr
  if (address === undefined || address === noAddress) return ignored(exchange, 'asks for no address')
  if (places.length === 0) return ignored(exchange, 'no subnet for where it comes from')
  const place = places.find(({ subnet }) => subnet.contains(address))
  if (chosen !== undefined) return select(exchange, place, address)
  return keep(exchange, place, address, request.ciaddr === noAddress)
}

async function withdraw(exchange: Exchange, chosen: string): Promise<Decision> {
  for (const { subnet, holder } of exchange.places) await exchange.context.leases.withdraw(subnet.cidr, holder)
  return ignored(exchange, `chose the server ${chosen}`)
}

/** SELECTING: the client took up our offer. */
function select(exchange: Exchange, place: Place | undefined, address: string): Decision | Promise<Decision> {
  if (!place?.subnet.fits(address)) return refuse(exchange, address, strange(exchange, address))
  return commit(exchange, place, address).then((bound) =>
    bound ? grant(exchange, place, address) : selectMoved(exchange, place, address),
  )
}

/**
 * A NAK ends a boot. An address that this client was promised, and that only the settings have moved away from, is still
 * its own until the lease runs out.
 */
async function selectMoved(exchange: Exchange, place: Place, address: string): Promise<Decision> {
  const { leases } = exchange.context
  if (exchange.client.speaker !== 'os' && (await leases.knows(place.pool.subnet, place.holder, address))) {
    const widened = { ...place.pool, ranges: [...place.pool.ranges, [address, address] as const] }
    if (await leases.commit(widened, place.holder, address, leaseOf(exchange, place))) {
      return grant(exchange, place, address)
    }
  }
  return refuse(exchange, address, `${address} is not this client's`)
}

/**
 * INIT-REBOOT, RENEWING and REBINDING. A server that is not the only one must be silent about clients that it knows
 * nothing of (RFC 2131 §4.3.2); one that is takes them over with the address that they have, where it is free.
 */
async function keep(exchange: Exchange, place: Place | undefined, address: string, rebooting: boolean) {
  const { context, places } = exchange
  if (!context.authoritative && !(await knowsIt(exchange, address))) {
    return ignored(exchange, `${address} was not given out here, and this server is not authoritative`)
  }
  if (!place?.subnet.fits(address)) return refuse(exchange, address, strange(exchange, address))
  // The settings keep another address for it: now is the time to move, before anything runs on this one.
  const kept = places.find(({ reservation }) => reservation)?.reservation
  if (rebooting && kept && kept.address !== address) {
    return refuse(exchange, address, `${kept.address} is kept for this client`)
  }
  if (await commit(exchange, place, address)) return grant(exchange, place, address)
  if (kept && !rebooting && (await renewOutsideReservation(exchange, place, address))) {
    return grant(exchange, place, address)
  }
  return refuse(exchange, address, `${address} is not this client's`)
}

const commit = (exchange: Exchange, place: Place, address: string): Promise<boolean> =>
  exchange.context.leases.commit(place.pool, place.holder, address, leaseOf(exchange, place))

/** A running client that has been given a reservation keeps the address that it works with until it starts anew. */
function renewOutsideReservation(exchange: Exchange, place: Place, address: string): Promise<boolean> {
  const { client, classes, context } = exchange
  const pool = place.subnet.poolFor(classes.map(({ name }) => name))
  const { identity, mac, names } = client
  return context.leases.commit(pool, { identity, mac, names }, address, leaseOf(exchange, place))
}

async function knowsIt({ context, places }: Exchange, address: string): Promise<boolean> {
  for (const { subnet, holder } of places) {
    if (await context.leases.knows(subnet.cidr, holder, address)) return true
  }
  return false
}

const strange = ({ places }: Exchange, address: string) =>
  `${address} is no node's address in ${places.map(({ subnet }) => subnet.cidr).join(', ')}`

function grant(exchange: Exchange, place: Place, address: string): Decision | Promise<Decision> {
  const granted = (told: Told): Decision => ({
    ...summary(exchange),
    type: 'ack',
    address,
    reply: ackOf(exchange, address, told),
  })
  const told = tell(exchange, place)
  return told instanceof Promise ? told.then(granted) : granted(told)
}

const refuse = (exchange: Exchange, address: string, reason: string): Decision => ({
  ...summary(exchange),
  type: 'nak',
  address,
  reason,
  reply: nakOf(exchange, reason),
})
