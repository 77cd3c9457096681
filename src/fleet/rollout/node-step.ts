import type { Logger } from '../../config/log.ts'
import { type Boot, bootsOf } from '../../state/boots.ts'
import { getOrder, putOrder, removeOrder } from '../../state/orders.ts'
import type { Redis } from '../../state/redis.ts'
import type { Rollout, RolloutNode } from '../../state/rollouts.ts'
import type { Digest } from '../../store/digest.ts'
import type { Store } from '../../store/store.ts'
import { wasEntered } from '../entered.ts'
import { powerOf } from '../power/power.ts'
import { isHeard } from '../reboot.ts'
import { sameContent } from '../stale.ts'
import { command } from './command.ts'
import { cycle } from './cycle.ts'

export interface StepContext {
  readonly redis: Redis
  readonly store: Store
  readonly log: Logger
  /** Seconds between two questions of a running node. */
  readonly heartbeat: number
  /** Somebody else drives by now, or this server ends. */
  readonly signal: AbortSignal
  /** The server's own directory. */
  readonly state: string
  /** Writes a change of the node that must be there before what follows is done; rejects when somebody else drives. */
  readonly record: (change: NonNullable<StepChange>) => Promise<void>
}

/** What of a node changes; `since` follows by itself where the step does. Undefined: nothing yet. */
export type StepChange = Partial<Omit<RolloutNode, 'mac' | 'place'>> | undefined

/**
 * Takes one node one step further, where it can go. Each step may be begun again by another server after this one died:
 * an order is for one boot, a command leaves its outcome (command.ts), a power cycle shows at the node (cycle.ts).
 */
export async function stepNode(context: StepContext, rollout: Rollout, node: RolloutNode): Promise<StepChange> {
  switch (node.step) {
    case 'drain':
      return drained(context, rollout, node)
    case 'boot':
      return booted(context, rollout, node)
    case 'undrain':
      return undrained(context, rollout, node)
    default:
      return undefined
  }
}

async function drained(context: StepContext, rollout: Rollout, node: RolloutNode): Promise<StepChange> {
  const failed = await command(context, rollout, node, 'drain')
  if (failed === undefined || node.way === 'back') return { step: 'boot', told: true }
  return { way: 'back', step: 'undrain', failed }
}

async function undrained(context: StepContext, rollout: Rollout, node: RolloutNode): Promise<StepChange> {
  const failed = await command(context, rollout, node, 'undrain')
  if (failed === undefined || node.failed !== undefined) return { step: 'done' }
  return node.way === 'out' ? { way: 'back', step: 'boot', failed } : { step: 'done', failed }
}

/** Waits for the node to be ready with what its way leads to, and tells it to boot anew as long as it runs something else. */
async function booted(context: StepContext, rollout: Rollout, node: RolloutNode): Promise<StepChange> {
  const { redis, store } = context
  const target = node.way === 'out' ? rollout.to : rollout.from
  const boot = (await bootsOf(redis, node.mac, 8)).find(wasEntered)
  const has = boot?.bundle !== undefined && (await sameContent(store, boot.bundle as Digest, target))
  if (has && boot.outcome === 'ready') {
    await removeOrder(redis, node.mac)
    return { step: 'undrain' }
  }
  const seconds = (Date.now() - node.since) / 1000
  // Its own turn stands: it is given another one only where it had its tries.
  const fellBack = !has && boot?.gaveUp !== undefined && boot.openedAt > node.since
  if (node.way === 'out' && fellBack && boot.outcome === 'ready') return back('fell back: it did not come up')
  const late = seconds > rollout.deadline
  if (late && node.way === 'out') return back(`not ready within ${rollout.deadline} s`)
  if (!has && boot && runs(boot) && !(fellBack && node.way === 'out')) {
    const told = await tell(context, rollout, node, boot)
    if (told) return told
  }
  // A node on its way through a slow firmware is left alone.
  const untaken = !has && boot !== undefined && boot.openedAt <= node.since && seconds > rollout.deadline / 2
  const power = (late || untaken) && !node.cycled ? await powerOf(redis, node.mac) : undefined
  if (power) return cycle(context, rollout, node, power, late ? { step: 'boot', since: Date.now() } : {})
  return late ? { step: 'lost', reason: `not back within ${rollout.deadline} s` } : undefined
}

const back = (failed: string): StepChange => ({ way: 'back', step: 'boot', failed, cycled: false })

/** Leaves the order; without anybody who would take it, the power controller restarts a node that is on. */
async function tell(context: StepContext, rollout: Rollout, node: RolloutNode, boot: Boot): Promise<StepChange> {
  const { redis, heartbeat } = context
  const order = await getOrder(redis, node.mac)
  if (order?.boot === boot.id && order.do !== 'drift') return undefined
  if (await isHeard(redis, node.mac, heartbeat)) {
    await putOrder(redis, node.mac, { do: rollout.full ? 'reboot-full' : 'reboot', boot: boot.id })
    return undefined
  }
  if (node.cycled) return undefined
  const power = await powerOf(redis, node.mac)
  if (!power) return node.way === 'out' ? { step: 'skipped', told: false, reason: 'it is silent' } : undefined
  const off = node.cycling === undefined && (await power.status()) === 'off'
  return off ? { step: 'skipped', told: false, reason: 'it is off' } : cycle(context, rollout, node, power)
}

/** Somebody is there to be told: its network is up. */
const runs = ({ stages }: Boot): boolean => stages.some(({ stage }) => stage === 'network' || stage === 'ready')
