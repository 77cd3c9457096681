import type { BundleConfig, BundleManifest, ForeignConfig } from '../compose/bundle-format.ts'
import { bootsOf } from '../state/boots.ts'
import { assignmentOf, listGroups } from '../state/groups.ts'
import { type Assignment, listNodes } from '../state/nodes.ts'
import type { Redis } from '../state/redis.ts'
import type { Digest } from '../store/digest.ts'
import type { Store } from '../store/store.ts'

/**
 * The nodes that follow a channel of a blueprint and run something else than this bundle: MACs, sorted. The same
 * selection woven at another level is the same to a node; one that never came up is not stale but off.
 */
export async function staleNodes(redis: Redis, store: Store, blueprint: string, bundle: Digest): Promise<string[]> {
  const [nodes, groups] = await Promise.all([listNodes(redis), listGroups(redis)])
  const current = await contentOf(store, bundle)
  const stale: string[] = []
  for (const node of nodes) {
    if (!follows(assignmentOf(node, groups), blueprint)) continue
    const running = (await bootsOf(redis, node.mac)).find(({ outcome }) => outcome === 'ready')?.bundle as
      | Digest
      | undefined
    if (running && running !== bundle && (await contentOf(store, running)) !== current) stale.push(node.mac)
  }
  return stale.sort()
}

const follows = (assignment: Assignment | undefined, blueprint: string): boolean =>
  assignment?.blueprint === blueprint && 'channel' in assignment

/** What a bundle brings to a node, whatever the level it was compressed at. */
async function contentOf(store: Store, bundle: Digest): Promise<string> {
  const manifest = await store.readJson<BundleManifest>(bundle)
  const config = await store.readJson<BundleConfig | ForeignConfig>(manifest.config.digest)
  if (config.level === 'foreign') return bundle
  const { inputs, cmdline, kernel } = config
  return [inputs.selection, inputs.blueprint, cmdline, kernel.release, kernel.version].join(' ')
}
