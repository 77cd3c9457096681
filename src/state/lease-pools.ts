import type { Scope } from './lease-batch.ts'

/** Addresses given out dynamically in a subnet: without those of the server, the router and the like. */
export interface Pool {
  /** The subnet's name in the table: its CIDR. */
  readonly subnet: string
  /** First and last of each range, in the order in which they are used up. */
  readonly ranges: readonly (readonly [string, string])[]
  readonly never: readonly string[]
}

/** A pool as the lease table works in it. */
interface PoolScope extends Scope {
  /** Whether an address is one of the pool's. */
  has(address: string): boolean
}

/** Kept for each pool: requests gather by it. */
export class PoolScopes {
  readonly #ofPools = new WeakMap<Pool, PoolScope>()
  readonly #ofSubnets = new Map<string, PoolScope>()

  of(pool: Pool): PoolScope {
    const known = this.#ofPools.get(pool)
    if (known) return known
    const scope = scopeOf(pool)
    this.#ofPools.set(pool, scope)
    return scope
  }

  /** Of what is done to an address whether it is in a pool or not. */
  ofSubnet(subnet: string): PoolScope {
    const scope = this.#ofSubnets.get(subnet) ?? scopeOf({ subnet, ranges: [], never: [] })
    this.#ofSubnets.set(subnet, scope)
    return scope
  }
}

function scopeOf({ subnet, ranges, never }: Pool): PoolScope {
  const [first, length] = subnet.split('/') as [string, string]
  const size = 2 ** (32 - Number(length))
  const base = Math.floor(addressNumber(first) / size) * size
  const numbers = ranges.map(([from, to]) => [addressNumber(from), addressNumber(to)] as const)
  const excluded = new Set(never)
  return {
    subnet,
    words: [base, ranges.length, ...numbers.flat(), never.length, ...never],
    has(address) {
      const n = addressNumber(address)
      return numbers.some(([from, to]) => n >= from && n <= to) && !excluded.has(address)
    },
  }
}

/** How many addresses the ranges of a pool span. */
export const sizeOf = ({ ranges }: Pool): number =>
  ranges.reduce((sum, [from, to]) => sum + addressNumber(to) - addressNumber(from) + 1, 0)

/** An address as a number; NaN for what is none. */
export function addressNumber(address: string): number {
  let number = 0
  let part = 0
  let dots = 0
  for (let at = 0; at < address.length; at++) {
    const digit = address.charCodeAt(at) - 48
    if (digit >= 0 && digit <= 9) part = part * 10 + digit
    else if (digit === -2) {
      number = number * 256 + part
      part = 0
      dots++
    } else return Number.NaN
  }
  return dots === 3 ? number * 256 + part : Number.NaN
}
