import { bootsOf } from '../state/boots.ts'
import { heardAt, type Order, putOrder } from '../state/orders.ts'
import type { Redis } from '../state/redis.ts'
import { getRun } from '../state/tries.ts'
import { powerOf } from './power/power.ts'

/** A node that asked so many times less than it should have is not there. */
const missed = 3
/** Milliseconds more, for one that is busy. */
const slack = 10_000

/** Whether a node asked for orders lately, or came up. `heartbeat`: seconds between two questions. */
export async function isHeard(redis: Redis, mac: string, heartbeat: number): Promise<boolean> {
  const [asked = 0, run] = await Promise.all([heardAt(redis, mac), getRun(redis, mac)])
  return Date.now() - Math.max(asked, run?.at ?? 0) < missed * 1000 * heartbeat * 1.25 + slack
}

/** Leaves an order for a node, for the boot that it runs by. Undefined when it never came up, so that nobody asks. */
export async function orderNode(redis: Redis, mac: string, what: Order['do']): Promise<Order | undefined> {
  const [run, [newest]] = await Promise.all([getRun(redis, mac), bootsOf(redis, mac, 1)])
  // What began since may be no more than a datagram in its name; what reported runs.
  const runs = newest?.stages.some(({ stage }) => stage === 'network' || stage === 'ready')
  const boot = runs ? newest!.id : run?.boot
  return boot === undefined ? undefined : putOrder(redis, mac, { do: what, boot })
}

/**
 * Boots a node anew: told once it asks, or where it does not ask, by its power controller. How; undefined when neither
 * can be. POWER_FAILED.
 */
export async function rebootNode(
  redis: Redis,
  mac: string,
  { full, heartbeat }: { readonly full: boolean; readonly heartbeat: number },
): Promise<'order' | 'power' | undefined> {
  if (await isHeard(redis, mac, heartbeat)) {
    const order = await orderNode(redis, mac, full ? 'reboot-full' : 'reboot')
    if (order) return 'order'
  }
  const power = await powerOf(redis, mac)
  if (!power) return undefined
  await power.act('cycle')
  return 'power'
}
