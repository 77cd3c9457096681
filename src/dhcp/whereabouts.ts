import type { LeaseClient, Pool } from '../state/leases.ts'
import type { DhcpContext } from './context.ts'
import type { Client } from './firmware.ts'
import { readOption } from './options.ts'
import { type DhcpPacket, noAddress } from './packet.ts'
import type { Reservation, Subnet } from './subnets.ts'

/**
 * The subnets that a client may get an address of, the likeliest first. Which they are follows from what the relay says
 * (its link selection, RFC 3527, before all), from the client's own subnet selection (RFC 3011), from the relay's
 * address; else from the address that the client has; else from the interface that its message came in by.
 */
export function subnetsOf(request: DhcpPacket, client: Client, context: DhcpContext): Subnet[] {
  const { subnets, server } = context
  const holding = (address: string) => subnets.filter((subnet) => subnet.contains(address))
  const selected = client.relay?.link ?? readOption(request.options, 'subnetSelection')
  if (selected !== undefined) return holding(selected)
  if (request.giaddr !== noAddress) return holding(request.giaddr)
  if (request.ciaddr !== noAddress) {
    const own = holding(request.ciaddr)
    if (own.length > 0) return own
  }
  const here = subnets.filter((subnet) => subnet.interface === context.interface)
  return [...new Set([...holding(server.address), ...here])]
}

/** A subnet with what a client may have of it, and as whom the lease table knows the client. */
export interface Place {
  readonly subnet: Subnet
  readonly pool: Pool
  readonly holder: LeaseClient
  /** The settings keep an address for it. */
  readonly reservation: Reservation | undefined
}

export function placeIn(subnet: Subnet, client: Client, classes: readonly string[]): Place {
  const { identity, mac, names } = client
  const firmware = client.speaker !== 'os'
  const reservation = reservationFor(client, subnet)
  return reservation
    ? { subnet, reservation, pool: reservation.pool, holder: { identity: reservation.holder, mac, firmware } }
    : { subnet, reservation, pool: subnet.poolFor(classes), holder: { identity, mac, names, firmware } }
}

function reservationFor({ mac, names }: Client, { reservations }: Subnet): Reservation | undefined {
  if (reservations.size === 0) return undefined
  return [mac, ...names].map((name) => reservations.get(name)).find(Boolean)
}
