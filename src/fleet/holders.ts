import { BlockList } from 'node:net'
import { keys } from '../state/keys.ts'
import { readLease } from '../state/lease-records.ts'
import { isRedisAway } from '../state/record.ts'
import type { Redis } from '../state/redis.ts'
import type { Boots } from './boots.ts'

/** Who holds an address by our leases. */
export interface Holders {
  /** Whether every node has its address from us, so that one without a lease is none of them. */
  readonly all: boolean
  /** The MAC that holds the address, as far as can be told; `asking` is who claims to. */
  of(address: string, asking: string): Promise<string | undefined>
}

/**
 * What this server granted it knows by heart; what another server on the same Redis granted stands in the lease table.
 * The table is asked only when memory does not agree with who asks, so it costs a node that is itself nothing.
 */
export function leaseHolders(boots: Boots, redis: Redis, subnets: readonly string[], all: boolean): Holders {
  const known = subnets.map((subnet) => {
    const [network, prefix] = subnet.split('/')
    const list = new BlockList()
    list.addSubnet(network!, Number(prefix), 'ipv4')
    return { subnet, list }
  })
  return {
    all,
    async of(address, asking) {
      const remembered = boots.macAt(address)
      if (remembered === asking) return remembered
      const subnet = known.find(({ list }) => list.check(address, 'ipv4'))?.subnet
      if (subnet === undefined) return remembered
      try {
        const record = await redis.hget(keys.leases(subnet), address)
        const lease = record === null ? undefined : readLease(address, record)
        return lease?.state === 'bound' && lease.expires > Date.now() ? lease.mac : remembered
      } catch (error) {
        if (isRedisAway(error)) return remembered
        throw error
      }
    },
  }
}
