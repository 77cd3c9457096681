import type { BundleConfig, BundleManifest, ForeignConfig } from '../compose/bundle-format.ts'
import { assignmentOf, listGroups } from '../state/groups.ts'
import { type Assignment, listNodes } from '../state/nodes.ts'
import type { Redis } from '../state/redis.ts'
import { listRuns } from '../state/tries.ts'
import { type Digest, digestOf } from '../store/digest.ts'
import type { Store } from '../store/store.ts'

/**
 * The nodes that follow a channel of a blueprint and run something else than this bundle: MACs, sorted. The same
 * selection woven at another level is the same to a node; one that never came up is not stale but off.
 */
export async function staleNodes(redis: Redis, store: Store, blueprint: string, bundle: Digest): Promise<string[]> {
  const [nodes, groups, runs] = await Promise.all([listNodes(redis), listGroups(redis), listRuns(redis)])
  const stale: string[] = []
  for (const node of nodes) {
    if (!follows(assignmentOf(node, groups), blueprint)) continue
    const running = runs.get(node.mac)?.bundle
    if (running && !(await sameContent(store, running, bundle))) stale.push(node.mac)
  }
  return stale.sort()
}

const follows = (assignment: Assignment | undefined, blueprint: string): boolean =>
  assignment?.blueprint === blueprint && 'channel' in assignment

/** Whether two bundles bring the same to a node; one that is no longer in the store brings something else. */
export async function sameContent(store: Store, one: Digest, other: Digest): Promise<boolean> {
  if (one === other) return true
  if (!(await store.has(one)) || !(await store.has(other))) return false
  return (await contentOf(store, one)) === (await contentOf(store, other))
}

/** What a bundle brings to a node, whatever the level it was compressed at. */
export async function contentOf(store: Store, bundle: Digest): Promise<Digest> {
  const manifest = await store.readJson<BundleManifest>(bundle)
  const config = await store.readJson<BundleConfig | ForeignConfig>(manifest.config.digest)
  if (config.level === 'foreign') return bundle
  const { inputs, cmdline, kernel, root } = config
  const words = [inputs.selection, inputs.blueprint, cmdline, kernel.release, kernel.version]
  return digestOf([...words, ...(root ? [root.format] : []), ...(kernel.drivers ?? [])].join(' '))
}
