import { BlockList } from 'node:net'

interface RackCache {
  readonly subnet: string
  readonly url: string
}

/** Which cache a node is to fetch bundles from, by its address; undefined: from here. */
export type RackCaches = (address: string) => string | undefined

export function rackCaches(caches: readonly RackCache[]): RackCaches {
  const known = caches.map(({ subnet, url }) => {
    const [network, prefix] = subnet.split('/')
    const list = new BlockList()
    list.addSubnet(network!, Number(prefix), 'ipv4')
    return { list, url }
  })
  return (address) => known.find(({ list }) => list.check(address, 'ipv4'))?.url
}
