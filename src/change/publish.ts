import type { Level } from '../compose/bundle-format.ts'
import { staleNodes } from '../fleet/stale.ts'
import { getBlueprint } from '../state/blueprints.ts'
import { moveChannel } from '../state/channels.ts'
import { addEvent } from '../state/events.ts'
import type { Digest } from '../store/digest.ts'
import type { Context } from './context.ts'

interface Publication {
  readonly blueprint: string
  readonly bundle: Digest
  readonly level: Level | 'foreign'
  /** Why there is a new bundle, in a few words. */
  readonly reason: string
  /** Segments woven anew. */
  readonly woven: readonly string[]
}

/**
 * Moves both channels to the bundle: there is nothing between candidate and stable that could object. A bundle woven
 * from a selection (or fetched for a blueprint) that is no longer the newest came too late and is not published.
 */
export async function publish(
  context: Context,
  publication: Publication,
  of: { readonly selection: Digest } | { readonly applied: Digest },
): Promise<void> {
  const { blueprint, bundle, reason } = publication
  const { redis } = context.state
  const record = await getBlueprint(redis, blueprint)
  if ('selection' in of ? record?.selectionDigest !== of.selection : record?.digest !== of.applied) return
  await moveChannel(redis, { blueprint, channel: 'candidate', digest: bundle, reason })
  const moved = await moveChannel(redis, { blueprint, channel: 'stable', digest: bundle, reason })
  if (!moved) return
  const stale = await staleNodes(redis, context.store, blueprint, bundle)
  await addEvent(redis, { event: 'bundle-published', ...publication, stale })
  context.log.info({ event: 'bundle-published', ...publication, stale })
}
