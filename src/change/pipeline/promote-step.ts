import type { Blueprint } from '../../blueprint/schema.ts'
import { sameContent } from '../../fleet/stale.ts'
import { type ChangeUpdate, updatesOf } from '../../state/changes.ts'
import { channelPointers } from '../../state/channels.ts'
import { shortDigest } from '../../store/digest.ts'
import { wovenBlueprint } from '../applied.ts'
import { tellPublished } from '../publish.ts'
import { moveTo } from './move.ts'
import { advance, type Stepping, wait } from './part.ts'
import { nextOpening } from './windows.ts'

/** Milliseconds after which a share is looked at again that a rollout keeps from its channel. */
export const rolloutLook = 5000

/**
 * Moves `stable` to the candidate when the blueprint's policy lets it; else it is held, or waits for a window or for the
 * end of a rollout.
 */
export async function promoteStep(step: Stepping): Promise<void> {
  const { name, part, work } = step
  const { state, store } = work.context
  const { blueprint } = await wovenBlueprint(work.context, name.blueprint)
  const bundle = part.bundle!
  const { candidate, stable } = await channelPointers(state.redis, name.blueprint)
  if (!candidate || !(await sameContent(store, candidate, bundle))) {
    const other = candidate ? `: ${shortDigest(candidate)}` : ''
    const why = `another bundle came to the candidate channel${other}`
    await advance(step, 'superseded', { why, note: why })
    return
  }
  const isMoving = part.moved.some(({ channel }) => channel === 'stable')
  if (!isMoving && stable && (await sameContent(store, stable, bundle))) {
    const from = part.base?.bundle
    if (from && !(await sameContent(store, from, bundle))) {
      const reason = 'a rollout, or somebody, brought it there'
      const move = { channel: 'stable' as const, from, to: stable, at: Date.now(), reason }
      await advance(step, 'promoted', { moved: [...part.moved, move], note: reason })
      return
    }
    const why = 'stable has these files already'
    await advance(step, 'unaffected', { why, note: why })
    return
  }
  if (!part.approved) {
    const waits = waitsFor(blueprint, await updatesOf(state.redis, name))
    if (waits !== undefined) {
      await advance(step, 'held', { why: waits, approvable: true, note: waits })
      return
    }
    const until = nextOpening(blueprint.windows, Date.now())
    if (until > Date.now()) {
      await wait(step, 'waits for its maintenance window', until)
      return
    }
  }
  const came = await moveTo(step, 'stable', part.approved ? 'approved' : 'promoted')
  if (came === 'rollout') {
    await wait(step, 'waits for the end of a rollout', Date.now() + rolloutLook)
    return
  }
  if (came === 'held' || came === 'rolled back') {
    const why = keptBecause[came]
    await advance(step, 'held', { why, note: why })
    return
  }
  await tellPublished(work.context, {
    blueprint: name.blueprint,
    bundle,
    level: 'fast',
    reason: `change ${name.change}`,
    woven: part.woven ?? [],
  })
  await advance(step, 'promoted', {})
}

/** Why a channel is kept from a bundle. */
export const keptBecause = {
  held: 'nodes did not come up with it',
  'rolled back': 'it was rolled back before',
} as const

/** What a person must say first; undefined when nobody need be asked. */
function waitsFor({ promote }: Blueprint, updates: readonly ChangeUpdate[]): string | undefined {
  if (promote === 'manual') return 'waits for approval: the blueprint says promote: manual'
  if (promote === 'auto-security' && !updates.some(isSecurity)) {
    return 'waits for approval: it is no security update, and the blueprint says promote: auto-security'
  }
  return undefined
}

/** By the suite that offers it, or by the flaws that it mends. */
const isSecurity = ({ suites, fixes, pinned }: ChangeUpdate): boolean =>
  !pinned && (fixes.length > 0 || suites.some((suite) => suite.endsWith('-security')))
