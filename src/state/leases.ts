import { BootloomError } from '../config/errors.ts'
import { keys } from './keys.ts'
import {
  commitScript,
  declineScript,
  offerScript,
  releaseScript,
  reserveScript,
  withdrawScript,
} from './lease-scripts.ts'
import type { Redis } from './redis.ts'

/** Who asks for an address: `identity` tells clients apart, `mac` is what reservations go by. */
export interface LeaseClient {
  readonly identity: string
  readonly mac: string
}

/** Addresses given out dynamically in a subnet: first to last, without those of the server, the router and the like. */
export interface Pool {
  /** The subnet's name in the table: its CIDR. */
  readonly subnet: string
  readonly range: readonly [string, string]
  readonly never: readonly string[]
}

interface Lease {
  readonly address: string
  /** Empty when declined. */
  readonly client: string
  readonly mac: string
  readonly state: 'offered' | 'bound' | 'released' | 'declined'
  /** Milliseconds since 1970. */
  readonly expires: number
}

export interface Leases {
  /**
   * Holds an address for a client: the one reserved for its MAC, the one it had, the one it wants, one never used, or
   * the one whose lease ended longest ago, in this order. Undefined when every address is held.
   */
  offer(pool: Pool, client: LeaseClient, wanted: string | undefined, holdSeconds: number): Promise<string | undefined>
  /**
   * Binds an address to a client. False when it is another's, or neither of the pool nor reserved for the client: the
   * answer must then be a NAK, never an ACK.
   */
  commit(pool: Pool, client: LeaseClient, address: string, leaseSeconds: number): Promise<boolean>
  /** Ends a lease early. False when the client did not hold the address. */
  release(subnet: string, client: LeaseClient, address: string): Promise<boolean>
  /** Keeps an address from everybody: the client found it in use. False when the client did not hold it. */
  decline(subnet: string, client: LeaseClient, address: string, holdSeconds: number): Promise<boolean>
  /** Takes back an offer; the client chose another server. */
  withdraw(subnet: string, client: LeaseClient): Promise<boolean>
  /** Every lease on record, ended ones too, in the order of their addresses. */
  list(subnet: string): Promise<Lease[]>
  /** Keeps an address for a MAC. Throws ADDRESS_RESERVED when it is kept for another. */
  reserve(subnet: string, mac: string, address: string): Promise<void>
  unreserve(subnet: string, mac: string): Promise<void>
  /** MAC → address. */
  reservations(subnet: string): Promise<ReadonlyMap<string, string>>
}

/** What defineCommand adds to the connection: keys first, then arguments. */
type Script = (...words: readonly (string | number)[]) => Promise<unknown>
interface Scripts {
  readonly bootloomLeaseOffer: Script
  readonly bootloomLeaseCommit: Script
  readonly bootloomLeaseRelease: Script
  readonly bootloomLeaseDecline: Script
  readonly bootloomLeaseWithdraw: Script
  readonly bootloomLeaseReserve: Script
}

/** The lease table on a connection: each change is one script, done when the promise is. */
export function openLeases(redis: Redis): Leases {
  const define = (name: keyof Scripts, lua: string) => redis.defineCommand(name, { numberOfKeys: 5, lua })
  define('bootloomLeaseOffer', offerScript)
  define('bootloomLeaseCommit', commitScript)
  define('bootloomLeaseRelease', releaseScript)
  define('bootloomLeaseDecline', declineScript)
  define('bootloomLeaseWithdraw', withdrawScript)
  define('bootloomLeaseReserve', reserveScript)
  const scripts = redis as unknown as Scripts

  return {
    async offer(pool, client, wanted, holdSeconds) {
      const range = pool.range.map(addressNumber)
      const words = [client.identity, client.mac, wanted ?? '', ...range, holdSeconds * 1000, ...pool.never]
      return ((await scripts.bootloomLeaseOffer(...tableKeys(pool.subnet), ...words)) as string | null) ?? undefined
    },
    async commit(pool, client, address, leaseSeconds) {
      const range = pool.range.map(addressNumber)
      const words = [client.identity, client.mac, address, ...range, leaseSeconds * 1000, ...pool.never]
      return (await scripts.bootloomLeaseCommit(...tableKeys(pool.subnet), ...words)) === 1
    },
    async release(subnet, client, address) {
      return (await scripts.bootloomLeaseRelease(...tableKeys(subnet), client.identity, address)) === 1
    },
    async decline(subnet, client, address, holdSeconds) {
      const words = [client.identity, address, holdSeconds * 1000]
      return (await scripts.bootloomLeaseDecline(...tableKeys(subnet), ...words)) === 1
    },
    async withdraw(subnet, client) {
      return (await scripts.bootloomLeaseWithdraw(...tableKeys(subnet), client.identity)) === 1
    },
    async list(subnet) {
      const records = Object.entries(await redis.hgetall(keys.leases(subnet)))
      const leases = records.map(([address, json]) => ({ ...(JSON.parse(json) as Omit<Lease, 'address'>), address }))
      return leases.sort((a, b) => addressNumber(a.address) - addressNumber(b.address))
    },
    async reserve(subnet, mac, address) {
      const owner = (await scripts.bootloomLeaseReserve(...tableKeys(subnet), mac, address)) as string
      if (owner !== '') {
        throw new BootloomError('ADDRESS_RESERVED', `${address} is reserved for ${owner}`, { where: subnet })
      }
    },
    async unreserve(subnet, mac) {
      const address = await redis.hget(keys.reservations(subnet), mac)
      const change = redis.multi().hdel(keys.reservations(subnet), mac)
      if (address !== null) change.hdel(keys.reservedAddresses(subnet), address)
      await change.exec()
    },
    async reservations(subnet) {
      return new Map(Object.entries(await redis.hgetall(keys.reservations(subnet))))
    },
  }
}

/** In the order that the scripts know them by. */
const tableKeys = (subnet: string) => [
  keys.leases(subnet),
  keys.leaseHolders(subnet),
  keys.leaseExpiry(subnet),
  keys.reservations(subnet),
  keys.reservedAddresses(subnet),
]

const addressNumber = (address: string) => address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
