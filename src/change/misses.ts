import type { Widened } from '../blueprint/selection.ts'
import { BootloomError } from '../config/errors.ts'
import { Bundles } from '../fleet/bundles.ts'
import { Misses } from '../fleet/misses.ts'
import { updateBlueprint } from '../state/blueprints.ts'
import { listMisses, type Miss } from '../state/misses.ts'
import { isDigest } from '../store/digest.ts'
import { wovenBlueprint } from './applied.ts'
import type { Context } from './context.ts'

/** Paths below a directory that are kept with it. */
const smallDirectory = 100

export interface ListedMiss extends Miss {
  /** The blueprint keeps it from its next weaving on. */
  readonly accepted: boolean
}

/** What running nodes missed, the newest first. */
export async function missesOf(context: Context, name: string): Promise<ListedMiss[]> {
  const { record } = await wovenBlueprint(context, name)
  const kept = wholly(record.widened)
  return (await listMisses(context.state.redis, name)).map((miss) => ({ ...miss, accepted: kept.has(miss.path) }))
}

/**
 * Widens the blueprint by what was missed: by the paths given, or by all. Of a small directory, by all that the stack
 * has below it too, for whoever opens one looks at what it holds; not of one that was passed through on the way to
 * another miss. Returns what was added; MISS_UNKNOWN for a path that no node missed. The bundle follows with the next
 * weaving.
 */
export async function acceptMisses(context: Context, name: string, paths?: readonly string[]): Promise<string[]> {
  const misses = await missesOf(context, name)
  const unknown = paths?.filter((path) => !misses.some((miss) => miss.path === path)) ?? []
  if (unknown.length > 0) {
    throw new BootloomError('MISS_UNKNOWN', `no node of ${name} missed ${unknown[0]}`, {
      details: unknown.slice(0, 20),
    })
  }
  const wanted = misses.filter(({ path, accepted }) => (paths ? paths.includes(path) : !accepted))
  const added = new Map<string, string>()
  for (const miss of wanted) {
    const by = `missed on ${miss.node} by ${miss.process}`
    added.set(miss.path, by)
    if (miss.type !== 'dir' || misses.some(({ path }) => path.startsWith(`${miss.path}/`))) continue
    const below = await pathsBelow(context, miss)
    if (below.length > smallDirectory) continue
    for (const path of below) if (!added.has(path)) added.set(path, by)
  }
  if (added.size === 0) return []
  await updateBlueprint(context.state.redis, name, (current) => {
    const widened = current!.widened ?? []
    const known = wholly(widened)
    const at = Date.now()
    const more = [...added].flatMap(([path, by]) => (known.has(path) ? [] : [{ path, by, at }]))
    return { ...current!, widened: [...widened, ...more], updatedAt: at }
  })
  return [...added.keys()].sort()
}

/** Paths that are kept, not only pages of them. */
const wholly = (widened: readonly Widened[] = []): Set<string> =>
  new Set(widened.flatMap(({ path, pages }) => (pages === undefined ? [path] : [])))

async function pathsBelow({ state, store, log }: Context, { path, bundle }: Miss): Promise<string[]> {
  if (!isDigest(bundle)) return []
  const { config } = await new Bundles(store).get(bundle)
  if (config.level === 'foreign') return []
  const absent = await new Misses(state.redis, store, log).absentOf(config)
  return [...absent.keys()].filter((other) => other.startsWith(`${path}/`))
}
