import { bootsOf } from '../../state/boots.ts'
import { heardAt } from '../../state/orders.ts'
import type { Rollout, RolloutNode } from '../../state/rollouts.ts'
import type { PowerDriver } from '../power/power.ts'
import type { StepChange, StepContext } from './node-step.ts'

/** Milliseconds that a node's question may have been under way when its power went. */
const underWay = 5_000

/**
 * Power-cycles a node, once. That it is about to be is written down first; whoever finds that and not what came of it
 * looks at the node before doing it: a boot that began since came of it, a machine that is off is in the middle of it,
 * and one that still asks for orders was never cycled. Of a silent one nobody knows, for firmware may take minutes: it
 * has some time, and then is cycled again, which it needs in either case.
 */
export async function cycle(
  { redis, record }: StepContext,
  { deadline }: Rollout,
  { mac, cycling }: RolloutNode,
  power: PowerDriver,
  more: StepChange = {},
): Promise<StepChange> {
  const done = { cycled: true, cycling: undefined, ...more }
  if (cycling !== undefined) {
    const [newest] = await bootsOf(redis, mac, 1)
    if (newest && newest.openedAt >= cycling) return done
    if ((await power.status()) === 'off') {
      await power.act('on')
      return done
    }
    const asks = ((await heardAt(redis, mac)) ?? 0) > cycling + underWay
    if (!asks && Date.now() < cycling + Math.min(120_000, deadline * 250)) return undefined
  }
  await record({ cycling: Date.now() })
  await power.act('cycle')
  return done
}
