import { BlockList, isIPv4 } from 'node:net'
import { BootloomError } from '../config/errors.ts'
import type { Settings } from '../config/settings.ts'
import type { Pool } from '../state/leases.ts'

/** One subnet of the settings, checked, with what follows from it. */
export interface Subnet {
  readonly cidr: string
  readonly mask: string
  readonly broadcast: string
  readonly pool: Pool
  readonly router: string | undefined
  readonly dns: readonly string[]
  readonly domain: string | undefined
  /** Seconds. */
  readonly lease: number
  /** True for addresses that a node of this subnet may have: without those of the network, the server and the router. */
  fits(address: string): boolean
  contains(address: string): boolean
}

/** Checks the subnets of the settings against each other and the server's address. Throws DHCP_SETTINGS_INVALID. */
export function readSubnets(settings: Settings['dhcp']['subnets'], server: string): Subnet[] {
  const subnets = settings.map((each) => readSubnet(each, server))
  const findings = settings.flatMap((each, at) => findingsOf(each, subnets[at]!, subnets, `dhcp.subnets.${at}`))
  if (findings.length === 0) return subnets
  throw new BootloomError('DHCP_SETTINGS_INVALID', 'the DHCP subnets do not fit', { details: findings })
}

function readSubnet(settings: Settings['dhcp']['subnets'][number], server: string): Subnet {
  const [base, length] = settings.subnet.split('/') as [string, string]
  const size = 2 ** (32 - Number(length))
  const network = Math.floor(toNumber(base) / size) * size
  const cidr = `${toAddress(network)}/${length}`
  const list = new BlockList()
  list.addSubnet(toAddress(network), Number(length))
  const contains = (address: string) => isIPv4(address) && list.check(address)
  const broadcast = toAddress(network + size - 1)
  const never = [toAddress(network), broadcast, server, ...(settings.router === undefined ? [] : [settings.router])]
  return {
    cidr,
    mask: toAddress(2 ** 32 - size),
    broadcast,
    pool: { subnet: cidr, range: settings.range, never: never.filter(contains) },
    router: settings.router,
    dns: settings.dns,
    domain: settings.domain,
    lease: settings.lease,
    fits: (address) => contains(address) && !never.includes(address),
    contains,
  }
}

function findingsOf(
  settings: Settings['dhcp']['subnets'][number],
  subnet: Subnet,
  all: readonly Subnet[],
  path: string,
): string[] {
  const [first, last] = settings.range
  const findings: string[] = []
  if (!subnet.contains(first) || !subnet.contains(last)) findings.push(`${path}.range: not within ${subnet.cidr}`)
  if (toNumber(first) > toNumber(last)) findings.push(`${path}.range: ${first} comes after ${last}`)
  if (settings.router !== undefined && !subnet.contains(settings.router)) {
    findings.push(`${path}.router: ${settings.router} is not within ${subnet.cidr}`)
  }
  const other = all.find((each) => each !== subnet && each.contains(subnet.cidr.split('/')[0]!))
  if (other) findings.push(`${path}.subnet: ${subnet.cidr} overlaps ${other.cidr}`)
  return findings
}

const toNumber = (address: string) => address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
const toAddress = (n: number) => [24, 16, 8, 0].map((shift) => Math.floor(n / 2 ** shift) % 256).join('.')
