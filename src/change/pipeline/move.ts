import { type ChannelName, channelPointers } from '../../state/channels.ts'
import { type Moving, moveUnlessHeld } from '../publish.ts'
import { note, type Stepping } from './part.ts'

/**
 * Moves a channel to the bundle of a share, once however often it is tried: where it stood before is written down first,
 * and struck out again where the channel is kept from the bundle.
 */
export async function moveTo(step: Stepping, channel: ChannelName, why: string): Promise<Moving> {
  const { name, part, work } = step
  const { context } = work
  const bundle = part.bundle!
  const reason = `change ${name.change}: ${why}`
  const standing = (await channelPointers(context.state.redis, name.blueprint))[channel]
  if (standing === bundle) return 'stands'
  const others = part.moved.filter((one) => one.channel !== channel)
  await note(step, { moved: [...others, { channel, from: standing ?? null, to: bundle, at: Date.now(), reason }] })
  const publication = { blueprint: name.blueprint, bundle, level: 'fast', reason, woven: part.woven ?? [] } as const
  const came = await moveUnlessHeld(context, publication, channel, part.retried)
  if (came !== 'moved' && came !== 'stands') await note(step, { moved: others })
  return came
}
