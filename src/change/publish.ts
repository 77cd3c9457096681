import type { Level } from '../compose/bundle-format.ts'
import { BootloomError } from '../config/errors.ts'
import { contentOf, sameContent, staleNodes } from '../fleet/stale.ts'
import { getBlueprint } from '../state/blueprints.ts'
import { recordContent } from '../state/bundles.ts'
import { type ChannelName, channelPointers, getChannels, getHold, moveChannel } from '../state/channels.ts'
import { addEvent } from '../state/events.ts'
import { putWithheld, type Withheld } from '../state/withheld.ts'
import type { Digest } from '../store/digest.ts'
import type { Context } from './context.ts'
import { openFromBundle } from './pipeline/open.ts'

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
 * Moves both channels to the bundle, unless the blueprint has something between candidate and stable that could object
 * (`isGated`): then the candidate alone, and a change takes it from there. A bundle woven
 * from a selection (or fetched for a blueprint) that is no longer the newest came too late and is not published, nor is
 * one that nodes did not come up with, or that somebody rolled back: whatever the level it is woven at this time.
 */
export async function publish(context: Context, publication: Publication, of: Withheld['of']): Promise<void> {
  const { blueprint, bundle } = publication
  const { redis } = context.state
  const record = await getBlueprint(redis, blueprint)
  if ('selection' in of ? record?.selectionDigest !== of.selection : record?.digest !== of.applied) return
  await recordContent(redis, bundle, await contentOf(context.store, bundle))
  const { channels, byChange } = record?.gated ? await openChannels(context, publication) : everywhere
  for (const channel of channels) {
    const came = await moveUnlessHeld(context, publication, channel)
    if (came === 'moved' && channel === 'stable') await tellPublished(context, publication)
    if (came !== 'rollout' || byChange) continue
    await putWithheld(redis, { ...publication, woven: [...publication.woven], channel, of, at: Date.now() })
  }
}

/** Where a bundle may come to at once, and whether a change sees to it from there. */
interface OpenChannels {
  readonly channels: readonly ChannelName[]
  readonly byChange: boolean
}

const everywhere: OpenChannels = { channels: ['candidate', 'stable'], byChange: false }

/**
 * The channels of a gated blueprint that a bundle may come to at once: `stable` when that has these very files already.
 * A bundle of others comes to the candidate alone, and a change takes it further; one that is there already, at whatever
 * level, is under way.
 */
async function openChannels(context: Context, publication: Publication): Promise<OpenChannels> {
  const { blueprint, bundle, woven, level } = publication
  const { stable, candidate } = await channelPointers(context.state.redis, blueprint)
  const isSame = async (other: Digest | undefined) =>
    other !== undefined && (await sameContent(context.store, other, bundle))
  const isCandidate = await isSame(candidate)
  // The thorough level follows in the background, and has nothing to say where something newer is under way.
  if (await isSame(stable)) {
    return level === 'thorough' && !isCandidate ? { channels: ['stable'], byChange: false } : everywhere
  }
  if (isCandidate) return { channels: [], byChange: true }
  await openFromBundle(context, blueprint, { bundle, stable: stable ?? null, candidate: candidate ?? null, woven })
  return { channels: ['candidate'], byChange: true }
}

/** Tells that a bundle came to `stable`, and which nodes run something else now. */
export async function tellPublished(context: Context, publication: Publication): Promise<void> {
  const { redis } = context.state
  const stale = await staleNodes(redis, context.store, publication.blueprint, publication.bundle)
  await addEvent(redis, { event: 'bundle-published', ...publication, stale })
  context.log.info({ event: 'bundle-published', ...publication, stale })
}

/** What became of a move: it stood there already, or is kept from this bundle, by a hold, a rollback or a rollout. */
export type Moving = 'moved' | 'stands' | 'held' | 'rolled back' | 'rollout'

/** Moves a channel to the bundle, unless it is kept from it. `again`: somebody wants it though it was rolled back. */
export async function moveUnlessHeld(
  context: Context,
  publication: Publication,
  channel: ChannelName,
  again = false,
): Promise<Moving> {
  const { blueprint, bundle, reason } = publication
  const { redis } = context.state
  const [hold, channels] = await Promise.all([getHold(redis, blueprint), getChannels(redis, blueprint)])
  if (channels[channel]?.digest === bundle) return 'stands'
  const last = channels[channel]?.history[0]
  const held = hold && (await sameContent(context.store, hold.bundle, bundle))
  const undone =
    !again && last?.rollback && last.from && (await sameContent(context.store, last.from as Digest, bundle))
  if (held || undone) {
    return withhold(context, publication, channel, held ? 'held' : 'rolled back')
  }
  try {
    const automatic = { held: hold?.bundle ?? null }
    return (await moveChannel(redis, { blueprint, channel, digest: bundle, reason, automatic })) ? 'moved' : 'stands'
  } catch (error) {
    // Another bundle was put on hold in between: looked at anew.
    if (error instanceof BootloomError && error.code === 'CHANNEL_HELD') {
      return moveUnlessHeld(context, publication, channel, again)
    }
    if (error instanceof BootloomError && error.code === 'ROLLOUT_UNDER_WAY') {
      return withhold(context, publication, channel, 'rollout')
    }
    throw error
  }
}

async function withhold(
  context: Context,
  { blueprint, bundle }: Publication,
  channel: ChannelName,
  reason: 'held' | 'rolled back' | 'rollout',
): Promise<Moving> {
  const event = { event: 'bundle-withheld', blueprint, channel, bundle, reason }
  await addEvent(context.state.redis, event)
  context.log.warn(event)
  return reason
}
