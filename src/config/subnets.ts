import type { z } from 'zod'

/** What of a `dhcp.subnets` entry depends on more than one field. */
interface Subnet {
  readonly subnet: string
  readonly range?: readonly [string, string] | undefined
  readonly pools: readonly { readonly range: readonly [string, string] }[]
  readonly reservations: readonly { readonly address: string }[]
  readonly router?: string | undefined
}

const numberOf = (address: string): number => address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0)

/** First and last address of a subnet in CIDR notation, as numbers; bits below the prefix are ignored. */
function bounds(cidr: string): readonly [first: number, last: number] {
  const [address = '', prefix = '32'] = cidr.split('/')
  const size = 2 ** (32 - Number(prefix))
  const first = Math.floor(numberOf(address) / size) * size
  return [first, first + size - 1]
}

function contains(cidr: string, address: string): boolean {
  const [first, last] = bounds(cidr)
  return numberOf(address) >= first && numberOf(address) <= last
}

/** The range stands in order inside its subnet and spares the network and broadcast addresses; the router is inside. */
export function checkSubnet(value: Subnet, context: z.RefinementCtx): void {
  const report: Report = (path, message) => context.addIssue({ code: 'custom', path, message, input: value })
  const ranges = [
    ...(value.range ? [{ range: value.range, path: ['range'] }] : []),
    ...value.pools.map(({ range }, index) => ({ range, path: ['pools', index, 'range'] })),
  ]
  if (value.range && value.pools.length > 0) report(['pools'], 'range and pools exclude each other')
  for (const { range, path } of ranges) checkRange(value.subnet, range, path, report)
  for (const [index, { range, path }] of ranges.entries()) {
    const overlaps = ranges
      .slice(0, index)
      .some((other) => numberOf(range[0]) <= numberOf(other.range[1]) && numberOf(other.range[0]) <= numberOf(range[1]))
    if (overlaps) report(path, `${range.join(' to ')} overlaps with an earlier range`)
  }
  for (const [index, { address }] of value.reservations.entries()) {
    const path = ['reservations', index, 'address']
    if (!contains(value.subnet, address)) report(path, `${address} is outside of ${value.subnet}`)
    if (value.reservations.slice(0, index).some((other) => other.address === address)) {
      report(path, `${address} is reserved twice`)
    }
  }
  if (value.router !== undefined && !contains(value.subnet, value.router)) {
    report(['router'], `${value.router} is outside of ${value.subnet}`)
  }
}

type Report = (path: (string | number)[], message: string) => void

function checkRange(subnet: string, range: readonly [string, string], path: (string | number)[], report: Report): void {
  const [first, last] = range
  for (const [index, address] of range.entries()) {
    if (!contains(subnet, address)) report([...path, index], `${address} is outside of ${subnet}`)
  }
  if (numberOf(first) > numberOf(last)) report(path, `${first} comes after ${last}`)
  const [network, broadcast] = bounds(subnet)
  if (broadcast - network <= 2) return
  if (numberOf(first) === network) report([...path, 0], `${first} is the network's own address`)
  if (numberOf(last) === broadcast) report([...path, 1], `${last} is the broadcast address`)
}

/** An address belongs to one subnet at most. */
export function checkOverlap(subnets: readonly Subnet[], context: z.RefinementCtx): void {
  for (const [index, one] of subnets.entries()) {
    const [first, last] = bounds(one.subnet)
    const other = subnets.slice(0, index).find(({ subnet }) => {
      const [otherFirst, otherLast] = bounds(subnet)
      return first <= otherLast && otherFirst <= last
    })
    if (!other) continue
    const message = `${one.subnet} overlaps with ${other.subnet}`
    context.addIssue({ code: 'custom', path: [index, 'subnet'], message, input: subnets })
  }
}
