import type { z } from 'zod'

/** What of a `dhcp.subnets` entry depends on more than one field. */
interface Subnet {
  readonly subnet: string
  readonly range: readonly [string, string]
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
  const report = (path: (string | number)[], message: string) =>
    context.addIssue({ code: 'custom', path, message, input: value })
  const [first, last] = value.range
  for (const [index, address] of value.range.entries()) {
    if (!contains(value.subnet, address)) report(['range', index], `${address} is outside of ${value.subnet}`)
  }
  if (numberOf(first) > numberOf(last)) report(['range'], `${first} comes after ${last}`)
  const [network, broadcast] = bounds(value.subnet)
  if (broadcast - network > 2) {
    if (numberOf(first) === network) report(['range', 0], `${first} is the network's own address`)
    if (numberOf(last) === broadcast) report(['range', 1], `${last} is the broadcast address`)
  }
  if (value.router !== undefined && !contains(value.subnet, value.router)) {
    report(['router'], `${value.router} is outside of ${value.subnet}`)
  }
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
