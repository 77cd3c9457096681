import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { BootloomError } from '../../config/errors.ts'
import { reservationName } from '../../dhcp/identity.ts'
import { readSubnets, type Subnet } from '../../dhcp/subnets.ts'
import { parseMac } from '../../fleet/mac.ts'
import { addEvent } from '../../state/events.ts'
import { type Lease, openLeases } from '../../state/leases.ts'
import type { ApiContext } from '../api-server.ts'
import { parseRequest } from './body.ts'

const reservationBody = z
  .strictObject({
    mac: z.string().transform(parseMac).optional(),
    clientId: z.string().min(1).max(512).optional(),
    uuid: z.guid().optional(),
    circuitId: z.string().min(1).max(512).optional(),
  })
  .refine((body) => Object.values(body).filter((value) => value !== undefined).length === 1, {
    message: 'needs one of mac, clientId, uuid and circuitId',
  })

interface OfAddress {
  readonly Params: { readonly address: string }
}

/** A lease with its subnet; one that has run out says so. */
interface ShownLease extends Omit<Lease, 'state'> {
  readonly subnet: string
  readonly state: Lease['state'] | 'ended'
}

interface ShownReservation {
  readonly subnet: string
  /** MAC, `id:…`, `uuid:…` or `circuit:…`. */
  readonly name: string
  readonly address: string
  readonly from: 'settings' | 'admin'
}

export function leaseRoutes(app: FastifyInstance, { state: { redis }, settings, log }: ApiContext): void {
  const leases = openLeases(redis, log)
  const subnets = readSubnets(settings.dhcp, [])

  function subnetOf(text: string): Subnet {
    const address = parseRequest(z.ipv4(), text)
    const subnet = subnets.find((each) => each.contains(address))
    if (subnet) return subnet
    throw new BootloomError('SUBNET_UNKNOWN', `${address} is in no subnet of the settings`, { where: 'dhcp.subnets' })
  }
  const leasesIn = async ({ cidr }: Subnet): Promise<ShownLease[]> => {
    const now = Date.now()
    const ended = ({ state, expires }: Lease) => expires <= now && state !== 'released'
    return (await leases.list(cidr)).map((lease) => ({
      subnet: cidr,
      ...lease,
      state: ended(lease) ? 'ended' : lease.state,
    }))
  }
  const reservationsIn = async ({ cidr, reservations }: Subnet): Promise<ShownReservation[]> => [
    ...[...reservations.values()].map(({ name, address }) => ({
      subnet: cidr,
      name,
      address,
      from: 'settings' as const,
    })),
    ...[...(await leases.reservations(cidr))].map(([name, address]) => ({
      subnet: cidr,
      name,
      address,
      from: 'admin' as const,
    })),
  ]
  const leaseAt = async (address: string): Promise<ShownLease> => {
    const found = (await leasesIn(subnetOf(address))).find((lease) => lease.address === address)
    if (found) return found
    throw new BootloomError('LEASE_UNKNOWN', `${address} was never given out`, { where: address })
  }

  app.get('/v1/leases', async () => ({
    leases: (await Promise.all(subnets.map(leasesIn))).flat(),
    reservations: (await Promise.all(subnets.map(reservationsIn))).flat(),
  }))

  app.get<OfAddress>('/v1/leases/:address', ({ params }) => leaseAt(params.address))

  app.delete<OfAddress>('/v1/leases/:address', async ({ params }) => {
    const lease = await leaseAt(params.address)
    const { subnet, address, client, mac } = lease
    if (!(await leases.release(subnet, { identity: client, mac }, address))) {
      throw new BootloomError('LEASE_UNKNOWN', `${address} is held by nobody now`, { where: address })
    }
    await addEvent(redis, { event: 'lease-released', address, mac })
    return { ...lease, state: 'released' }
  })

  app.put<OfAddress>('/v1/reservations/:address', async ({ params, body }) => {
    const { address } = params
    const subnet = subnetOf(address)
    if (!subnet.fits(address)) throw new BootloomError('USAGE', `${address} is no node's address in ${subnet.cidr}`)
    const name = reservationName(parseRequest(reservationBody, body))!
    const taken = [...subnet.reservations.values()].find((each) => each.address === address || each.name === name)
    if (taken) {
      throw new BootloomError('ADDRESS_RESERVED', `the settings keep ${taken.address} for ${taken.name}`, {
        where: 'dhcp.subnets',
      })
    }
    await leases.reserve(subnet.cidr, name, address)
    await addEvent(redis, { event: 'address-reserved', address, name })
    return { subnet: subnet.cidr, name, address, from: 'admin' }
  })

  app.delete<OfAddress>('/v1/reservations/:address', async ({ params }) => {
    const { address } = params
    const subnet = subnetOf(address)
    const found = [...(await leases.reservations(subnet.cidr))].find(([, reserved]) => reserved === address)
    if (!found) throw new BootloomError('RESERVATION_UNKNOWN', `${address} is reserved for nobody`, { where: address })
    await leases.unreserve(subnet.cidr, found[0])
    await addEvent(redis, { event: 'address-unreserved', address, name: found[0] })
    return { subnet: subnet.cidr, name: found[0], address }
  })
}
