import { type ChannelName, channelPointers } from '../../state/channels.ts'
import { moveUnlessHeld } from '../publish.ts'
import { note, type Stepping } from './part.ts'

/**
 * Moves a channel to the bundle of a share, once however often it is tried: where it stood before is written down first.
 * False when it may not be moved there: nodes did not come up with it, or somebody rolled it back.
 */
export async function moveTo(step: Stepping, channel: ChannelName, why: string): Promise<boolean> {
  const { name, part, work } = step
  const { context } = work
  const bundle = part.bundle!
  const reason = `change ${name.change}: ${why}`
  const standing = (await channelPointers(context.state.redis, name.blueprint))[channel]
  if (standing === bundle) return true
  const move = { channel, from: standing ?? null, to: bundle, at: Date.now(), reason }
  const others = part.moved.filter((one) => one.channel !== channel)
  await note(step, { moved: [...others, move] })
  const publication = { blueprint: name.blueprint, bundle, level: 'fast', reason, woven: part.woven ?? [] } as const
  await moveUnlessHeld(context, publication, channel)
  return (await channelPointers(context.state.redis, name.blueprint))[channel] === bundle
}
