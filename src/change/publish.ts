import type { Level } from '../compose/bundle-format.ts'
import { BootloomError } from '../config/errors.ts'
import { contentOf, sameContent, staleNodes } from '../fleet/stale.ts'
import { getBlueprint } from '../state/blueprints.ts'
import { recordContent } from '../state/bundles.ts'
import { type ChannelName, getChannels, getHold, moveChannel } from '../state/channels.ts'
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
 * from a selection (or fetched for a blueprint) that is no longer the newest came too late and is not published, nor is
 * one that nodes did not come up with, or that somebody rolled back: whatever the level it is woven at this time.
 */
export async function publish(
  context: Context,
  publication: Publication,
  of: { readonly selection: Digest } | { readonly applied: Digest },
): Promise<void> {
  const { blueprint, bundle } = publication
  const { redis } = context.state
  const record = await getBlueprint(redis, blueprint)
  if ('selection' in of ? record?.selectionDigest !== of.selection : record?.digest !== of.applied) return
  await recordContent(redis, bundle, await contentOf(context.store, bundle))
  await moveUnlessHeld(context, publication, 'candidate')
  const moved = await moveUnlessHeld(context, publication, 'stable')
  if (!moved) return
  const stale = await staleNodes(redis, context.store, blueprint, bundle)
  await addEvent(redis, { event: 'bundle-published', ...publication, stale })
  context.log.info({ event: 'bundle-published', ...publication, stale })
}

/** True when the channel moved; false when it stood there already, or is kept from this bundle. */
async function moveUnlessHeld(context: Context, publication: Publication, channel: ChannelName): Promise<boolean> {
  const { blueprint, bundle, reason } = publication
  const { redis } = context.state
  const [hold, channels] = await Promise.all([getHold(redis, blueprint), getChannels(redis, blueprint)])
  if (channels[channel]?.digest === bundle) return false
  const last = channels[channel]?.history[0]
  const held = hold && (await sameContent(context.store, hold.bundle, bundle))
  const undone = last?.rollback && last.from && (await sameContent(context.store, last.from as Digest, bundle))
  if (held || undone) {
    const event = { event: 'bundle-withheld', blueprint, channel, bundle, reason: held ? 'held' : 'rolled back' }
    await addEvent(redis, event)
    context.log.warn(event)
    return false
  }
  try {
    const automatic = { held: hold?.bundle ?? null }
    return await moveChannel(redis, { blueprint, channel, digest: bundle, reason, automatic })
  } catch (error) {
    // Another bundle was put on hold in between: looked at anew.
    if (error instanceof BootloomError && error.code === 'CHANNEL_HELD') {
      return moveUnlessHeld(context, publication, channel)
    }
    throw error
  }
}
