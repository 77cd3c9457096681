import { setTimeout as sleep } from 'node:timers/promises'
import { exchange } from '../../blueprint/exchange.ts'
import { wasEntered } from '../../fleet/entered.ts'
import { powerOf } from '../../fleet/power/power.ts'
import { isHeard } from '../../fleet/reboot.ts'
import { sameContent } from '../../fleet/stale.ts'
import { type Boot, bootsOf, byKexec } from '../../state/boots.ts'
import { lendNode } from '../../state/canaries.ts'
import type { PartName } from '../../state/changes.ts'
import { addEvent } from '../../state/events.ts'
import { forgetTries } from '../../state/tries.ts'
import type { Digest } from '../../store/digest.ts'
import type { Context } from '../context.ts'
import { askAll } from './asking.ts'
import { Booting } from './booting.ts'
import { addressOf, type Candidate, type Machine, measureOf, type Shown } from './trial.ts'

interface CanaryOptions {
  /** Whose bundle it tries. */
  readonly share: PartName
  /** Milliseconds until it must have booted the bundle. */
  readonly deadline: number
  readonly signal: AbortSignal
}

/** Between two looks at the node's boots, in milliseconds. */
const look = 500

/**
 * A node that tries a bundle: it is assigned it and told to boot anew, through its firmware, as any node that is switched
 * on does; its report and its answers count. It keeps the bundle until it is returned (`returnCanaries`).
 */
export function canaryNode(context: Context, mac: string, { share, deadline, signal }: CanaryOptions): Machine {
  const { state, store, settings } = context
  const { redis } = state
  const { heartbeat } = settings.fleet
  const tried = new Set<Digest>()

  /** When the node's trial of the bundle began; waits while another share has the node. */
  const lend = async (bundle: Digest): Promise<number> => {
    const anew = tried.has(bundle)
    for (;;) {
      const since = await lendNode(redis, mac, { ...share, bundle, anew })
      if (since !== undefined) {
        tried.add(bundle)
        return since
      }
      await sleep(look, undefined, { signal })
    }
  }

  const booted = async ({ bundle }: Candidate, since: number): Promise<Boot | Extract<Shown, { failed: string }>> => {
    const booting = new Booting(context, mac, { since, deadline })
    for (const end = since + deadline; ; await sleep(look, undefined, { signal })) {
      const boots = await bootsOf(redis, mac, 8)
      const own = boots.filter((boot) => boot.bundle === bundle && scriptAt(boot) >= since)
      const ended = own.find(({ outcome }) => outcome !== undefined)
      if (ended?.outcome === 'ready') return ended
      if (ended) return { failed: ended.reason ?? 'it failed', lines: ended.lines ?? [] }
      // Handed over twice and never heard of again.
      if (own.filter(wasEntered).length > 1) return { failed: 'it began to boot anew before it was ready', lines: [] }
      if (Date.now() > end) {
        return { failed: `the canary ${mac} did not boot it within ${deadline / 1000} s`, lines: [] }
      }
      if (own.length === 0) await booting.tell()
    }
  }

  const shownBy = async (boot: Boot, { blueprint, bundle }: Candidate): Promise<Shown> => {
    const host = addressOf(boot)
    if (host === undefined) return { failed: `the canary ${mac} has no address`, lines: [] }
    const asked = await askAll(blueprint, (step, timeout) => exchange(step, host, timeout), signal)
    return { measure: await measureOf(boot, bundle, asked, mac, store), failures: asked.failures, notes: [] }
  }

  return {
    by: mac,
    async boot(candidate) {
      const { blueprint, bundle } = candidate
      const since = await lend(bundle)
      await forgetTries(redis, blueprint.name, mac)
      await addEvent(redis, { event: 'canary-assigned', mac, blueprint: blueprint.name, bundle })
      const boot = await booted(candidate, since)
      return 'failed' in boot ? boot : shownBy(boot, candidate)
    },
    async shows(candidate) {
      const boot = (await bootsOf(redis, mac, 8)).find(wasEntered)
      if (boot?.outcome !== 'ready' || byKexec(boot) || !(await isHeard(redis, mac, heartbeat))) return undefined
      if (!(await sameContent(store, boot.bundle as Digest, candidate.bundle))) return undefined
      return shownBy(boot, candidate)
    },
    async isAtHand() {
      return (await isHeard(redis, mac, heartbeat)) || (await powerOf(redis, mac)) !== undefined
    },
  }
}

/** When it was told what to boot. */
const scriptAt = ({ openedAt, stages }: Boot): number =>
  Math.max(openedAt, ...stages.flatMap(({ stage, at }) => (stage === 'script' ? at : [])))
