import { BootloomError } from '../config/errors.ts'
import { type Logger, silent } from '../config/log.ts'
import { keys } from './keys.ts'
import { LeaseBatches, LeaseTableAway, type Op, type Scope } from './lease-batch.ts'
import { DeclineLimit } from './lease-limits.ts'
import { LeaseMemory } from './lease-memory.ts'
import { addressNumber, type Pool, PoolScopes } from './lease-pools.ts'
import { type Lease, readLease } from './lease-records.ts'
import { reserveScript, serverPrefix } from './lease-scripts.ts'
import type { Redis } from './redis.ts'

export type { Lease, Pool }

/** Who asks for an address: `identity` tells clients apart. */
export interface LeaseClient {
  readonly identity: string
  readonly mac: string
  /**
   * What else a reservation may go by, beside the MAC: `id:…` (option 61), `uuid:…` (option 97), `circuit:…` (option
   * 82.1). Without spaces. The first that has a reservation counts, the MAC before all.
   */
  readonly names?: readonly string[]
  /** The machine's firmware asks: it is given what the system on this MAC had, and the system what it had. */
  readonly firmware?: boolean
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
   * What `offer` would answer, where it is known without asking: a lease that this server wrote runs for longer than an
   * offer would be held, and Redis has other work under way.
   */
  knownOffer(pool: Pool, client: LeaseClient, holdSeconds: number): string | undefined
  /**
   * Holds an address for a client: the one reserved for its MAC, the one it had, the one it wants, one never used, or
   * the one whose lease ended longest ago, in this order. Undefined when every address is held. Before one never used goes
   * `spare`, an address that `holdSpare` has held.
   */
  offer(
    pool: Pool,
    client: LeaseClient,
    wanted: string | undefined,
    holdSeconds: number,
    spare?: string,
  ): Promise<Offer | undefined>
  /**
   * Holds an address for nobody in particular: `offer` gives it as its `spare`. `slot` tells a server's spares apart; its
   * former one is held on, while it is still there. Undefined when three quarters of the pool are in use.
   */
  holdSpare(pool: Pool, slot: string, holdSeconds: number): Promise<string | undefined>
  /** Keeps a spare from everybody: somebody uses it. */
  declineSpare(subnet: string, slot: string, address: string, holdSeconds: number): Promise<void>
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
  const memory = new LeaseMemory()
  const batches = new LeaseBatches(redis, (subnet) => memory.distrust(subnet))
  const declines = new DeclineLimit()
  redis.defineCommand('bootloomLeaseReserve', { numberOfKeys: 3, lua: reserveScript })
  const { bootloomLeaseReserve } = redis as unknown as { bootloomLeaseReserve: (...words: string[]) => Promise<string> }
  const scopes = new PoolScopes()

  const send = (scope: Scope, what: Op['what'], client: LeaseClient, address: string, seconds: number, spare = '') =>
    batches.run(scope, {
      what,
      identity: client.identity,
      names: namesOf(client),
      address,
      milliseconds: seconds * 1000,
      firmware: client.firmware === true,
      spare,
    })
  /** Until what was granted without Redis is written, nothing else is: Redis may have come back empty. */
  let restoring: Promise<void> | undefined
  const run: typeof send = (...words) => (restoring ? restoring.then(() => send(...words)) : send(...words))

  async function writeBack(): Promise<void> {
    const now = performance.now()
    const outcomes = await Promise.allSettled(
      memory.running().map(async ({ subnet, client, address, ends }) => {
        const taken = await send(scopes.ofSubnet(subnet), 'restore', client, address, (ends - now) / 1000)
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
    knownOffer(pool, client, holdSeconds) {
      if (restoring || !batches.isBusyAndCurrent(pool.subnet)) return undefined
      const bound = memory.boundAddress(pool.subnet, client, holdSeconds)
      return bound !== undefined && scopes.of(pool).has(bound) ? bound : undefined
    },
    async offer(pool, client, wanted, holdSeconds, spare) {
      try {
        const offered = await run(scopes.of(pool), 'offer', client, wanted ?? '', holdSeconds, spare)
        if (offered === '') return undefined
        const known = offered.startsWith('=')
        return { address: known ? offered.slice(1) : offered, known }
      } catch (error) {
        const address = memory.addressOf(pool.subnet, client)
        if (!(error instanceof LeaseTableAway) || address === undefined) throw error
        return { address, known: true }
      }
    },
    async holdSpare(pool, slot, holdSeconds) {
      const offered = await run(scopes.of(pool), 'offer', spareHolder(slot), '', holdSeconds)
      return offered === '' ? undefined : offered.replace('=', '')
    },
    async declineSpare(subnet, slot, address, holdSeconds) {
      await run(scopes.ofSubnet(subnet), 'decline', spareHolder(slot), address, holdSeconds)
    },
    async commit(pool, client, address, leaseSeconds) {
      const asked = performance.now()
      try {
        const bound = (await run(scopes.of(pool), 'commit', client, address, leaseSeconds)) !== ''
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
      const released = (await run(scopes.ofSubnet(subnet), 'release', client, address, 0)) !== ''
      // Again: a commit may have been on its way.
      memory.forget(subnet, client)
      return released
    },
    async decline(subnet, client, address, holdSeconds) {
      memory.forget(subnet, client)
      const hold = declines.holdFor(client.mac, holdSeconds)
      const declined = (await run(scopes.ofSubnet(subnet), 'decline', client, address, hold)) !== ''
      memory.forget(subnet, client)
      return declined
    },
    async withdraw(subnet, client) {
      return (await run(scopes.ofSubnet(subnet), 'withdraw', client, '', 0)) !== ''
    },
    async list(subnet) {
      const records = Object.entries(await redis.hgetall(keys.leases(subnet)))
      const leases = records.map(([address, record]) => readLease(address, record))
      return leases
        .filter(({ client }) => !client.startsWith(serverPrefix))
        .sort((a, b) => addressNumber(a.address) - addressNumber(b.address))
    },
    async knows(subnet, client, address) {
      if (memory.addressOf(subnet, client) === address) return true
      return (await redis.hget(keys.leaseHolders(subnet), client.identity)) === address
    },
    async reserve(subnet, name, address) {
      const where = [keys.reservations(subnet), keys.reservedAddresses(subnet), keys.leaseTakings(subnet)]
      const owner = await bootloomLeaseReserve.call(redis, ...where, name, address)
      if (owner !== '') {
        throw new BootloomError('ADDRESS_RESERVED', `${address} is reserved for ${owner}`, { where: subnet })
      }
    },
    async unreserve(subnet, name) {
      const address = await redis.hget(keys.reservations(subnet), name)
      if (address === null) return false
      await redis
        .multi()
        .hdel(keys.reservations(subnet), name)
        .hdel(keys.reservedAddresses(subnet), address)
        .incr(keys.leaseTakings(subnet))
        .exec()
      return true
    },
    async reservations(subnet) {
      return new Map(Object.entries(await redis.hgetall(keys.reservations(subnet))))
    },
  }
}

/** No machine's: `-` stands where its MAC would. */
const spareHolder = (slot: string): LeaseClient => ({ identity: `${serverPrefix}${slot}`, mac: '-' })

/** The MAC first: leases are recorded under it. */
const namesOf = ({ mac, names }: LeaseClient) => (names && names.length > 0 ? [mac, ...names].join(' ') : mac)
