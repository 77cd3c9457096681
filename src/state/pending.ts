import { isOpen, listChanges, type PartState } from './changes.ts'
import type { Redis } from './redis.ts'

/** A newer version that a change found for a blueprint, and that has not come to `stable`. */
export interface PendingPatch {
  readonly kind: string
  readonly name: string
  readonly to: string
  /** CVEs that it mends. */
  readonly fixes: readonly string[]
  /** The change, and how far it has come. */
  readonly change: string
  readonly state: PartState
}

/** Changes looked at: what is older was overtaken. */
const looked = 100

/** The patches that each blueprint has before it, by its name: of changes under way, held and rolled back. */
export async function pendingPatches(redis: Redis): Promise<Map<string, PendingPatch[]>> {
  const found = new Map<string, PendingPatch[]>()
  const settled = new Set<string>()
  for (const { id: change, parts } of await listChanges(redis, looked)) {
    for (const { blueprint, updates, ...part } of parts) {
      const own = found.get(blueprint) ?? []
      for (const { kind, name, to, fixes, pinned } of updates) {
        const key = `${blueprint} ${kind} ${name}`
        if (kind === 'tree' || pinned || settled.has(key)) continue
        settled.add(key)
        if (isOpen(part) || part.state === 'held' || part.state === 'rolled-back')
          own.push({ kind, name, to, fixes, change, state: part.state })
      }
      if (own.length > 0) found.set(blueprint, own)
    }
  }
  return found
}
