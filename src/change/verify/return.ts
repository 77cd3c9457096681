import { Assignments } from '../../fleet/assignment.ts'
import { wasEntered } from '../../fleet/entered.ts'
import { powerOf } from '../../fleet/power/power.ts'
import { rebootNode } from '../../fleet/reboot.ts'
import { sameContent } from '../../fleet/stale.ts'
import { bootsOf } from '../../state/boots.ts'
import { listLent, returnNode } from '../../state/canaries.ts'
import { getPart } from '../../state/changes.ts'
import { addEvent } from '../../state/events.ts'
import type { Digest } from '../../store/digest.ts'
import type { Context } from '../context.ts'

/**
 * Gives canaries their own assignment again whose share is no longer being verified or promoted, and has those boot anew
 * that run something else than it leads to: the candidate was held, or is not what they follow.
 */
export async function returnCanaries(context: Context): Promise<void> {
  const { state, log } = context
  for (const lent of await listLent(state.redis)) {
    const part = await getPart(state.redis, lent).catch(() => undefined)
    if (part?.state === 'replayed' || part?.state === 'verified') continue
    if (!(await returnNode(state.redis, lent))) continue
    const { mac, change, blueprint } = lent
    try {
      const by = await bootOwn(context, mac)
      await addEvent(state.redis, { event: 'canary-returned', mac, change, blueprint, ...(by ? { by } : {}) })
    } catch (error) {
      log.warn({ event: 'canary-not-returned', mac, reason: (error as Error).message })
    }
  }
}

/** How it was told to boot what it is assigned; undefined where it runs that, or boots anew by itself. */
async function bootOwn({ state, store, settings, log }: Context, mac: string): Promise<'order' | 'power' | undefined> {
  const { redis } = state
  const answer = await new Assignments(redis, settings, log).resolve(mac)
  const boot = (await bootsOf(redis, mac, 8)).find(wasEntered)
  // Without an assignment of its own it has nothing to go back to.
  if (answer.action !== 'boot' || boot?.bundle === undefined) return undefined
  if (await sameContent(store, boot.bundle as Digest, answer.bundle)) return undefined
  if (boot.outcome === 'ready') return rebootNode(redis, mac, { full: false, heartbeat: settings.fleet.heartbeat })
  // Init boots a node anew that did not come up; a kernel that hangs needs its power controller.
  const power = await powerOf(redis, mac)
  await power?.act('cycle')
  return power ? 'power' : undefined
}
