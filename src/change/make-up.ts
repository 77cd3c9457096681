import { sameContent } from '../fleet/stale.ts'
import { getChannels } from '../state/channels.ts'
import { getRollout, isUnderWay, rolledOut } from '../state/rollouts.ts'
import { listWithheld, removeWithheld, type Withheld } from '../state/withheld.ts'
import type { Context } from './context.ts'
import { publish } from './publish.ts'

/**
 * Publishes what rollouts kept from a channel, once they are over: of each channel the newest. By several servers at once,
 * or again after a kill, it comes to the same.
 */
export async function makeUp(context: Context): Promise<void> {
  const { redis } = context.state
  for (const withheld of await listWithheld(redis)) {
    const { blueprint, channel, bundle, level, reason, woven, of } = withheld
    const rollout = await getRollout(redis, blueprint)
    if (rollout && isUnderWay(rollout) && rollout.channel === channel) continue
    if (await isWanted(context, withheld)) await publish(context, { blueprint, bundle, level, reason, woven }, of)
    await removeWithheld(redis, withheld)
  }
}

/**
 * Not what the rollout went away from or did not succeed with, and nothing at all where somebody, or something newer, moved
 * the channel since. The very files that the channel has now may come at another level.
 */
async function isWanted({ state: { redis }, store }: Context, { blueprint, channel, bundle, at }: Withheld) {
  const [rollout, channels] = await Promise.all([getRollout(redis, blueprint), getChannels(redis, blueprint)])
  const { digest: standing, history = [] } = channels[channel] ?? {}
  if (history.some((move) => move.at >= at && move.reason !== rolledOut)) return false
  if (standing !== undefined && (await sameContent(store, standing, bundle))) return true
  for (const end of rollout ? [rollout.from, rollout.to] : []) if (await sameContent(store, end, bundle)) return false
  return true
}
