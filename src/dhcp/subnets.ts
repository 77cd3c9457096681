import { BootloomError } from '../config/errors.ts'
import type { Settings } from '../config/settings.ts'
import { addressNumber, type Pool } from '../state/lease-pools.ts'
import { reservationName } from './identity.ts'
import { overlay, readNamedOptions } from './named-options.ts'
import { type Options, writeOptions } from './options.ts'

/** An address kept for a client by the settings. */
export interface Reservation {
  readonly name: string
  readonly address: string
  readonly options: Options
  /** The address alone: nobody but its client is given this pool. */
  readonly pool: Pool
  /** Who holds the lease, whatever identity the client goes by: firmware and the running system differ in theirs. */
  readonly holder: string
}

/** One subnet of the settings, checked, with what follows from it. */
export interface Subnet {
  readonly cidr: string
  /** The boot interface that it was said to lie at. */
  readonly interface: string | undefined
  /** Seconds. */
  readonly lease: number
  readonly firmwareLease: number
  /** What every client of it is told, its mask first. */
  readonly options: Options
  /** By the client's names; see identity.ts. */
  readonly reservations: ReadonlyMap<string, Reservation>
  /** Where clients of these classes get their addresses. */
  poolFor(classes: readonly string[]): Pool
  /** True for addresses that a node of this subnet may have: without those of the network, the server and the router. */
  fits(address: string): boolean
  contains(address: string): boolean
}

type SubnetSettings = Settings['dhcp']['subnets'][number]
type Report = (finding: string) => void

/** Checks the subnets of the settings against each other and the server's addresses. Throws DHCP_SETTINGS_INVALID. */
export function readSubnets(
  { subnets, classes }: Pick<Settings['dhcp'], 'subnets' | 'classes'>,
  servers: readonly string[],
): Subnet[] {
  const findings: string[] = []
  const report = (finding: string) => findings.push(finding)
  const read = subnets.map((each, at) => readSubnet(each, servers, `dhcp.subnets.${at}`, report))
  for (const [at, each] of subnets.entries()) check(each, read[at]!, read, `dhcp.subnets.${at}`, report)
  const named = classes.map(({ name }) => name)
  for (const [at, { pools }] of subnets.entries()) {
    for (const pool of pools) {
      if (pool.class !== undefined && !named.includes(pool.class)) {
        report(`dhcp.subnets.${at}.pools: there is no class ${pool.class}`)
      }
    }
  }
  if (findings.length === 0) return read
  throw new BootloomError('DHCP_SETTINGS_INVALID', 'the DHCP subnets do not fit', { details: findings })
}

function readSubnet(settings: SubnetSettings, servers: readonly string[], path: string, report: Report): Subnet {
  const [base, length] = settings.subnet.split('/') as [string, string]
  const size = 2 ** (32 - Number(length))
  const network = Math.floor(addressNumber(base) / size) * size
  const cidr = `${toAddress(network)}/${length}`
  // On the path of every message. What is no address is no number, and so in no subnet.
  const contains = (address: string) => {
    const offset = addressNumber(address) - network
    return offset >= 0 && offset < size
  }
  const broadcast = toAddress(network + size - 1)
  const router = settings.router === undefined ? [] : [settings.router]
  const taken = [toAddress(network), broadcast, ...servers, ...router].filter(contains)
  const reserved = readReservations(settings, cidr, `${path}.reservations`, report)
  const never = [...taken, ...[...reserved.values()].map(({ address }) => address)]
  const pools = [...(settings.range ? [{ range: settings.range }] : []), ...settings.pools]
  const poolOf = (ranges: typeof pools): Pool => ({ subnet: cidr, ranges: ranges.map(({ range }) => range), never })
  // The lease table gathers requests by pool, so there is one object for each.
  const byClasses = new Map<string, Pool>()
  const poolFor = (classes: readonly string[]) => {
    const open = pools.filter((pool) => pool.class === undefined || classes.includes(pool.class))
    const key = open.map(({ range }) => range.join('-')).join()
    const pool = byClasses.get(key) ?? poolOf(open)
    byClasses.set(key, pool)
    return pool
  }
  const everyones = pools.some((pool) => pool.class !== undefined) ? undefined : poolFor([])
  return {
    cidr,
    interface: settings.interface,
    lease: settings.lease,
    firmwareLease: Math.min(settings.firmwareLease, settings.lease),
    options: overlay(
      writeOptions({
        subnetMask: toAddress(2 ** 32 - size),
        routers: settings.router === undefined ? undefined : [settings.router],
        nameServers: settings.dns.length === 0 ? undefined : settings.dns,
        domainName: settings.domain,
        broadcastAddress: broadcast,
      }),
      readNamedOptions(settings.options, `${path}.options`, report),
    ),
    reservations: reserved,
    poolFor: (classes) => everyones ?? poolFor(classes),
    fits: (address) => contains(address) && !taken.includes(address),
    contains,
  }
}

function readReservations(
  settings: SubnetSettings,
  cidr: string,
  path: string,
  report: Report,
): Map<string, Reservation> {
  const reservations = new Map<string, Reservation>()
  for (const [at, each] of settings.reservations.entries()) {
    const name = reservationName(each)!
    if (each.mac !== undefined && !/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(name)) {
      report(`${path}.${at}.mac: ${each.mac} is no MAC address`)
    }
    if (reservations.has(name)) report(`${path}.${at}: a second reservation for ${name}`)
    const options = readNamedOptions(each.options, `${path}.${at}.options`, report)
    const pool = { subnet: cidr, ranges: [[each.address, each.address] as const], never: [] }
    const holder = each.mac === undefined ? name : `mac:${name}`
    reservations.set(name, { name, address: each.address, options, pool, holder })
  }
  return reservations
}

function check(settings: SubnetSettings, subnet: Subnet, all: readonly Subnet[], path: string, report: Report): void {
  const ranges = [
    ...(settings.range ? [[settings.range, `${path}.range`] as const] : []),
    ...settings.pools.map(({ range }, at) => [range, `${path}.pools.${at}.range`] as const),
  ]
  for (const [[first, last], where] of ranges) {
    if (!subnet.contains(first) || !subnet.contains(last)) report(`${where}: not within ${subnet.cidr}`)
    if (addressNumber(first) > addressNumber(last)) report(`${where}: ${first} comes after ${last}`)
  }
  if (settings.router !== undefined && !subnet.contains(settings.router)) {
    report(`${path}.router: ${settings.router} is not within ${subnet.cidr}`)
  }
  for (const { address } of subnet.reservations.values()) {
    if (!subnet.fits(address)) report(`${path}.reservations: ${address} is no node's address in ${subnet.cidr}`)
  }
  const other = all.find((each) => each !== subnet && each.contains(subnet.cidr.split('/')[0]!))
  if (other) report(`${path}.subnet: ${subnet.cidr} overlaps ${other.cidr}`)
}

const toAddress = (n: number) => [24, 16, 8, 0].map((shift) => Math.floor(n / 2 ** shift) % 256).join('.')
