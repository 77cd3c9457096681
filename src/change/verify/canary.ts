import { setTimeout as sleep } from 'node:timers/promises'
import { exchange } from '../../blueprint/exchange.ts'
import { type Boot, bootsOf } from '../../state/boots.ts'
import { lendNode, returnNode } from '../../state/canaries.ts'
import { addEvent } from '../../state/events.ts'
import { forgetTries } from '../../state/tries.ts'
import type { Context } from '../context.ts'
import { askAll } from './asking.ts'
import { addressOf, type Candidate, type Machine, measureOf, type Shown } from './trial.ts'

interface CanaryOptions {
  /** Milliseconds until it must have booted the bundle. */
  readonly deadline: number
  readonly signal: AbortSignal
}

/** Between two looks at the node's boots, in milliseconds. */
const look = 500

/**
 * A node that tries a bundle: it is assigned it, whoever starts nodes anew starts it anew, and its report counts. Then it
 * has its own assignment again.
 */
export function canaryNode({ state, store }: Context, mac: string, { deadline, signal }: CanaryOptions): Machine {
  const { redis } = state
  const booted = async ({ bundle }: Candidate, since: number): Promise<Boot | Extract<Shown, { failed: string }>> => {
    for (const end = since + deadline; ; await sleep(look, undefined, { signal })) {
      const own = (await bootsOf(redis, mac, 5)).filter((boot) => boot.bundle === bundle && boot.openedAt >= since)
      const ended = own.find(({ outcome }) => outcome !== undefined)
      if (ended?.outcome === 'ready') return ended
      if (ended) return { failed: ended.reason ?? 'it failed', lines: ended.lines ?? [] }
      // Handed over twice and never heard of again.
      if (own.length > 1) return { failed: 'it began to boot anew before it was ready', lines: [] }
      if (Date.now() > end) {
        return { failed: `the canary ${mac} did not boot it within ${deadline / 1000} s`, lines: [] }
      }
    }
  }
  return {
    by: mac,
    async boot(candidate) {
      const { blueprint, bundle } = candidate
      const since = await lendNode(redis, mac, { blueprint: blueprint.name, bundle })
      await forgetTries(redis, blueprint.name, mac)
      await addEvent(redis, { event: 'canary-assigned', mac, blueprint: blueprint.name, bundle })
      const boot = await booted(candidate, since)
      try {
        if ('failed' in boot) return boot
        const host = addressOf(boot)
        if (host === undefined) return { failed: `the canary ${mac} has no address`, lines: [] }
        const asked = await askAll(blueprint, (step, timeout) => exchange(step, host, timeout), signal)
        return { measure: await measureOf(boot, bundle, asked, mac, store), failures: asked.failures, notes: [] }
      } finally {
        await returnNode(redis, mac)
      }
    },
  }
}
