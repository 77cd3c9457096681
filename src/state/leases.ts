import { BootloomError } from '../config/errors.ts'
import { type Logger, silent } from '../config/log.ts'
import { keys } from './keys.ts'
import { LeaseBatches, LeaseTableAway, type Op, type Scope } from './lease-batch.ts'
import { DeclineLimit } from './lease-limits.ts'
import { LeaseMemory } from './lease-memory.ts'
import { type Lease, readLease } from './lease-records.ts'
import { reserveScript } from './lease-scripts.ts'
import type { Redis } from './redis.ts'

export type { Lease }

/** Who asks for an address: `identity` tells clients apart. */
export interface LeaseClient {
  readonly identity: string
  readonly mac: string
  /**
   * What else a reservation may go by, beside the MAC: `id:…` (option 61), `uuid:…` (option 97), `circuit:…` (option
   * 82.1). Without spaces. The first that has a reservation counts, the MAC before all.
   */
  readonly names?: readonly string[]
}

/** Addresses given out dynamically in a subnet: without those of the server, the router and the like. */
export interface Pool {
  /** The subnet's name in the table: its CIDR. */
  readonly subnet: string
  /** First and last of each range, in the order in which they are used up. */
  readonly ranges: readonly (readonly [string, string])[]
  readonly never: readonly string[]
}

interface Offer {
  readonly address: string
  /** The client had or was offered this address before; false when it is new to it, and may be somebody's unknown to us. */
  readonly known: boolean
}

/**
 * The lease table. While Redis is away, clients whose lease this server wrote are offered and granted their address from
 * memory; everything else rejects with LeaseTableAway. What was granted meanwhile is written when Redis is back.
 */
export interface Leases {
  /**
   * Holds an address for a client: the one reserved for its MAC, the one it had, the one it wants, one never used, or
   * the one whose lease ended longest ago, in this order. Undefined when every address is held.
   */
  offer(pool: Pool, client: LeaseClient, wanted: string | undefined, holdSeconds: number): Promise<Offer | undefined>
  /**
   * Binds an address to a client. False when it is another's, or neither of the pool nor reserved for the client: the
   * answer must then be a NAK, never an ACK.
   */
  commit(pool: Pool, client: LeaseClient, address: string, leaseSeconds: number): Promise<boolean>
  /** Ends a lease early. False when the client did not hold the address. */
  release(subnet: string, client: LeaseClient, address: string): Promise<boolean>
  /**
   * Keeps an address from everybody: the client found it in use. False when the client did not hold it. One client
   * that declines over and over keeps addresses from others for a minute only.
   */
  decline(subnet: string, client: LeaseClient, address: string, holdSeconds: number): Promise<boolean>
  /** Lets an offer end within seconds; the client chose another server. False when it had none. */
  withdraw(subnet: string, client: LeaseClient): Promise<boolean>
  /** Every lease on record, ended ones too, in the order of their addresses. */
  list(subnet: string): Promise<Lease[]>
  /** Whether the table has this address as the client's, its lease running or ended. */
  knows(subnet: string, client: LeaseClient, address: string): Promise<boolean>
  /** Keeps an address for a MAC, or for one of a client's other names. Throws ADDRESS_RESERVED when it is another's. */
  reserve(subnet: string, name: string, address: string): Promise<void>
  unreserve(subnet: string, name: string): Promise<boolean>
  /** MAC or other name → address. */
  reservations(subnet: string): Promise<ReadonlyMap<string, string>>
}

/** The lease table on a connection: each change is in Redis when its promise is done. */
export function openLeases(redis: Redis, log: Logger = silent): Leases {
  const batches = new LeaseBatches(redis)
  const memory = new LeaseMemory()
  const declines = new DeclineLimit()
  redis.defineCommand('bootloomLeaseReserve', { numberOfKeys: 2, lua: reserveScript })
  const { bootloomLeaseReserve } = redis as unknown as { bootloomLeaseReserve: (...words: string[]) => Promise<string> }
  const scopes = new WeakMap<Pool, Scope>()
  const subnets = new Map<string, Scope>()

  /** Kept for each pool: requests gather by it. */
  function poolScope(pool: Pool): Scope {
    const scope = scopes.get(pool) ?? { subnet: pool.subnet, words: poolWords(pool) }
    scopes.set(pool, scope)
    return scope
  }
  function subnetScope(subnet: string): Scope {
    const scope = subnets.get(subnet) ?? { subnet, words: poolWords({ subnet, ranges: [], never: [] }) }
    subnets.set(subnet, scope)
    return scope
  }
  const send = (scope: Scope, what: Op['what'], client: LeaseClient, address: string, seconds: number) =>
    batches.run(scope, {
      what,
      identity: client.identity,
      names: namesOf(client),
      address,
      milliseconds: seconds * 1000,
    })
  /** Until what was granted without Redis is written, nothing else is: Redis may have come back empty. */
  let restoring: Promise<void> | undefined
  const run: typeof send = (...words) => (restoring ? restoring.then(() => send(...words)) : send(...words))

  async function writeBack(): Promise<void> {
    const now = performance.now()
    const outcomes = await Promise.allSettled(
      memory.running().map(async ({ subnet, client, address, ends }) => {
        const taken = await send(subnetScope(subnet), 'restore', client, address, (ends - now) / 1000)
        if (taken === '') memory.forget(subnet, client)
        return taken
      }),
    )
    const count = (answer: string) =>
      outcomes.filter((each) => each.status === 'fulfilled' && each.value === answer).length
    if (outcomes.length > 0) log.warn({ event: 'leases-written-back', leases: count('1'), ended: count('') })
  }
  // Not of the connection that we were given, but of each that follows it.
  redis.on('ready', () => {
    const written = writeBack().finally(() => {
      if (restoring === written) restoring = undefined
    })
    restoring = written
  })

  return {
    async offer(pool, client, wanted, holdSeconds) {
      try {
        const offered = await run(poolScope(pool), 'offer', client, wanted ?? '', holdSeconds)
        if (offered === '') return undefined
        const known = offered.startsWith('=')
        return { address: known ? offered.slice(1) : offered, known }
      } catch (error) {
        const address = memory.addressOf(pool.subnet, client)
        if (!(error instanceof LeaseTableAway) || address === undefined) throw error
        return { address, known: true }
      }
    },
    async commit(pool, client, address, leaseSeconds) {
      const asked = performance.now()
      try {
        const bound = (await run(poolScope(pool), 'commit', client, address, leaseSeconds)) !== ''
        if (bound) memory.written(pool.subnet, client, address, leaseSeconds, asked)
        else memory.forget(pool.subnet, client)
        return bound
      } catch (error) {
        if (error instanceof LeaseTableAway && memory.extend(pool.subnet, client, address, leaseSeconds)) return true
        throw error
      }
    },
    async release(subnet, client, address) {
      memory.forget(subnet, client)
      return (await run(subnetScope(subnet), 'release', client, address, 0)) !== ''
    },
    async decline(subnet, client, address, holdSeconds) {
      memory.forget(subnet, client)
      const hold = declines.holdFor(client.mac, holdSeconds)
      return (await run(subnetScope(subnet), 'decline', client, address, hold)) !== ''
    },
    async withdraw(subnet, client) {
      return (await run(subnetScope(subnet), 'withdraw', client, '', 0)) !== ''
    },
    async list(subnet) {
      const records = Object.entries(await redis.hgetall(keys.leases(subnet)))
      const leases = records.map(([address, record]) => readLease(address, record))
      return leases.sort((a, b) => addressNumber(a.address) - addressNumber(b.address))
    },
    async knows(subnet, client, address) {
      if (memory.addressOf(subnet, client) === address) return true
      return (await redis.hget(keys.leaseHolders(subnet), client.identity)) === address
    },
    async reserve(subnet, name, address) {
      const where = [keys.reservations(subnet), keys.reservedAddresses(subnet)]
      const owner = await bootloomLeaseReserve.call(redis, ...where, name, address)
      if (owner !== '') {
        throw new BootloomError('ADDRESS_RESERVED', `${address} is reserved for ${owner}`, { where: subnet })
      }
    },
    async unreserve(subnet, name) {
      const address = await redis.hget(keys.reservations(subnet), name)
      if (address === null) return false
      await redis.multi().hdel(keys.reservations(subnet), name).hdel(keys.reservedAddresses(subnet), address).exec()
      return true
    },
    async reservations(subnet) {
      return new Map(Object.entries(await redis.hgetall(keys.reservations(subnet))))
    },
  }
}

/** The MAC first: leases are recorded under it. */
const namesOf = ({ mac, names }: LeaseClient) => (names && names.length > 0 ? [mac, ...names].join(' ') : mac)

function poolWords({ subnet, ranges, never }: Pool): (string | number)[] {
  const [first, length] = subnet.split('/') as [string, string]
  const size = 2 ** (32 - Number(length))
  const base = Math.floor(addressNumber(first) / size) * size
  return [base, ranges.length, ...ranges.flat().map(addressNumber), never.length, ...never]
}

const addressNumber = (address: string) => address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
