import { BootloomError } from '../../config/errors.ts'
import { contentOf } from '../../fleet/stale.ts'
import type { Stack } from '../../repository/stack.ts'
import { recordContent } from '../../state/bundles.ts'
import { wovenBlueprint } from '../applied.ts'
import { replayBundle, replayFailed } from '../replay.ts'
import { remember } from '../work.ts'
import { inputsOf } from './inputs.ts'
import { moveTo } from './move.ts'
import { advance, type Stepping } from './part.ts'
import { keptBecause } from './promote-step.ts'

/**
 * Replays what was woven, and brings it to the candidate channel. False while a rollout keeps it from there: it is to be
 * taken up again. REPLAY_FAILED, CHANNEL_HELD.
 */
export async function replayStep(step: Stepping): Promise<boolean> {
  const { name, part, work } = step
  const { context } = work
  const { store, state } = context
  const began = performance.now()
  const bundle = part.bundle!
  const applied = await wovenBlueprint(context, name.blueprint)
  const inputs = await inputsOf(bundle, context)
  if (applied.record.selectionDigest !== inputs.selection) {
    const why = 'something newer was selected meanwhile'
    await advance(step, 'superseded', { why, note: why })
    return true
  }
  if (part.replay !== false) {
    const stack = await store.readJson<Stack>(inputs.stack)
    const verdict = await replayBundle(applied, { stack, digest: inputs.stack }, bundle, work)
    if (!verdict.holds) throw replayFailed(name.blueprint, [{ bundle, verdict }])
  }
  await remember(context, name.blueprint, { held: undefined })
  await recordContent(state.redis, bundle, await contentOf(store, bundle))
  const came = await moveTo(step, 'candidate', 'replayed')
  if (came === 'rollout') return false
  if (came === 'held' || came === 'rolled back') {
    throw new BootloomError('CHANNEL_HELD', keptBecause[came], { where: `${name.blueprint}/candidate` })
  }
  await advance(step, 'replayed', { took: performance.now() - began })
  return true
}
