import type { LeaseClient } from './leases.ts'

/** A lease that this server has written, or has granted while Redis was away. Times are of `performance.now()`. */
interface Remembered {
  readonly subnet: string
  client: LeaseClient
  address: string
  ends: number
  /** Nobody else gets the address before this, whatever happens meanwhile to Redis and to this server's connection. */
  safeUntil: number
  /** Of which age of its subnet it is; see `distrust`. */
  age: number
}

/** About 30 MB for each subnet. Beyond, who has been known for longest is forgotten first. */
const most = 65_536

/** The leases of one subnet. */
interface Remembrance {
  readonly byClient: Map<string, Remembered>
  /** Address → the client's identity. */
  readonly byAddress: Map<string, string>
  age: number
}

/**
 * What this server knows of its clients without Redis. The table keeps an address for a client for the length of its
 * lease again after the lease has ended (`lease-scripts.ts`); within that grace a lease can be granted and renewed from
 * here, though another server may still reach Redis.
 */
export class LeaseMemory {
  readonly #subnets = new Map<string, Remembrance>()

  /** Notes a lease that Redis has taken. `asked` is when it was asked to, so that our end never comes after its own. */
  written(subnet: string, client: LeaseClient, address: string, seconds: number, asked: number): void {
    const ends = asked + seconds * 1000
    const safeUntil = ends + seconds * 1000
    const leases = this.#of(subnet)
    const { age } = leases
    const known = leases.byClient.get(client.identity)
    if (known?.address !== address) {
      this.#put(leases, { subnet, client, address, ends, safeUntil, age })
      return
    }
    // Written over: a record of its own for each renewal would be old when it becomes garbage, which is the dearest kind.
    if (!isSame(known.client, client)) known.client = client
    known.ends = ends
    known.safeUntil = safeUntil
    known.age = age
  }

  forget(subnet: string, { identity }: LeaseClient): void {
    const leases = this.#of(subnet)
    const lease = leases.byClient.get(identity)
    if (!lease) return
    leases.byClient.delete(identity)
    if (leases.byAddress.get(lease.address) === identity) leases.byAddress.delete(lease.address)
  }

  /** The address that a client may go on with. */
  addressOf(subnet: string, client: LeaseClient): string | undefined {
    const lease = this.#subnets.get(subnet)?.byClient.get(client.identity)
    return lease && lease.ends > performance.now() ? lease.address : undefined
  }

  /** What was written so far may since have been taken from its clients by others: it is not offered from here. */
  distrust(subnet: string): void {
    this.#of(subnet).age++
  }

  /**
   * The address of a lease that runs for so many seconds more, where Redis would not say anything else: the client has
   * the names that it was bound with, and nobody has ended a lease since.
   */
  boundAddress(subnet: string, client: LeaseClient, seconds: number): string | undefined {
    const leases = this.#subnets.get(subnet)
    const lease = leases?.byClient.get(client.identity)
    if (!lease || lease.age !== leases!.age || !sameNames(lease.client, client)) return undefined
    // Under other identities the machine may have been bound since.
    if (client.identity !== `mac:${client.mac}`) return undefined
    return lease.ends > performance.now() + seconds * 1000 ? lease.address : undefined
  }

  /** Grants a lease without Redis: false when the address is not the client's, or not for that long. */
  extend(subnet: string, client: LeaseClient, address: string, seconds: number): boolean {
    const leases = this.#of(subnet)
    const lease = leases.byClient.get(client.identity)
    const ends = performance.now() + seconds * 1000
    if (!lease || lease.address !== address || ends > lease.safeUntil) return false
    lease.ends = ends
    return true
  }

  /** The leases that run. */
  running(): readonly Readonly<Remembered>[] {
    const now = performance.now()
    return [...this.#subnets.values()].flatMap(({ byClient }) =>
      [...byClient.values()].filter(({ ends }) => ends > now),
    )
  }

  #of(subnet: string): Remembrance {
    const known = this.#subnets.get(subnet)
    if (known) return known
    const leases = { byClient: new Map(), byAddress: new Map(), age: 0 }
    this.#subnets.set(subnet, leases)
    return leases
  }

  #put({ byClient, byAddress }: Remembrance, lease: Remembered): void {
    const { identity } = lease.client
    const before = byAddress.get(lease.address)
    if (before !== identity) {
      // The client has moved, or the machine goes by another identity now.
      if (before !== undefined) byClient.delete(before)
      byAddress.set(lease.address, identity)
    }
    const old = byClient.get(identity)
    if (old) {
      byClient.delete(identity)
      if (old.address !== lease.address && byAddress.get(old.address) === identity) byAddress.delete(old.address)
    }
    byClient.set(identity, lease)
    if (byClient.size > most) this.forget(lease.subnet, byClient.values().next().value!.client)
  }
}

const isSame = (one: LeaseClient, other: LeaseClient) =>
  one.mac === other.mac && one.firmware === other.firmware && sameNames(one, other)

function sameNames({ names: left = none }: LeaseClient, { names: right = none }: LeaseClient): boolean {
  return left === right || (left.length === right.length && left.every((name, at) => name === right[at]))
}

const none: readonly string[] = []
