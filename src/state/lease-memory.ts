import type { LeaseClient } from './leases.ts'

/** A lease that this server has written, or has granted while Redis was away. Times are of `performance.now()`. */
interface Remembered {
  readonly subnet: string
  readonly client: LeaseClient
  readonly address: string
  readonly ends: number
  /** Nobody else gets the address before this, whatever happens meanwhile to Redis and to this server's connection. */
  readonly safeUntil: number
}

/** About 30 MB. Beyond, whose lease was written longest ago is forgotten first. */
const most = 65_536

/**
 * What this server knows of its clients without Redis. The table keeps an address for a client for the length of its
 * lease again after the lease has ended (`lease-scripts.ts`); within that grace a lease can be granted and renewed from
 * here, though another server may still reach Redis.
 */
export class LeaseMemory {
  readonly #leases = new Map<string, Remembered>()

  /** Notes a lease that Redis has taken. `asked` is when it was asked to, so that our end never comes after its own. */
  written(subnet: string, client: LeaseClient, address: string, seconds: number, asked: number): void {
    const ends = asked + seconds * 1000
    this.#put({ subnet, client, address, ends, safeUntil: ends + seconds * 1000 })
  }

  forget(subnet: string, client: LeaseClient): void {
    this.#leases.delete(keyOf(subnet, client))
  }

  /** The address that a client may go on with. */
  addressOf(subnet: string, client: LeaseClient): string | undefined {
    const lease = this.#leases.get(keyOf(subnet, client))
    return lease && lease.ends > performance.now() ? lease.address : undefined
  }

  /** Grants a lease without Redis: false when the address is not the client's, or not for that long. */
  extend(subnet: string, client: LeaseClient, address: string, seconds: number): boolean {
    const lease = this.#leases.get(keyOf(subnet, client))
    const ends = performance.now() + seconds * 1000
    if (!lease || lease.address !== address || ends > lease.safeUntil) return false
    this.#put({ ...lease, ends })
    return true
  }

  /** The leases that run. */
  running(): Remembered[] {
    const now = performance.now()
    return [...this.#leases.values()].filter(({ ends }) => ends > now)
  }

  #put(lease: Remembered): void {
    const key = keyOf(lease.subnet, lease.client)
    this.#leases.delete(key)
    this.#leases.set(key, lease)
    if (this.#leases.size > most) this.#leases.delete(this.#leases.keys().next().value!)
  }
}

const keyOf = (subnet: string, { identity }: LeaseClient) => `${subnet} ${identity}`
