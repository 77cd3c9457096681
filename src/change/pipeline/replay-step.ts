import { contentOf } from '../../fleet/stale.ts'
import type { Stack } from '../../repository/stack.ts'
import { recordContent } from '../../state/bundles.ts'
import { wovenBlueprint } from '../applied.ts'
import { replayBundle, replayFailed } from '../replay.ts'
import { remember } from '../work.ts'
import { inputsOf } from './inputs.ts'
import { moveTo } from './move.ts'
import { advance, type Stepping } from './part.ts'

/** Replays what was woven, and brings it to the candidate channel. REPLAY_FAILED. */
export async function replayStep(step: Stepping): Promise<void> {
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
    return
  }
  if (part.replay !== false) {
    const stack = await store.readJson<Stack>(inputs.stack)
    const verdict = await replayBundle(applied, { stack, digest: inputs.stack }, bundle, work)
    if (!verdict.holds) throw replayFailed(name.blueprint, [{ bundle, verdict }])
  }
  await remember(context, name.blueprint, { held: undefined })
  await recordContent(state.redis, bundle, await contentOf(store, bundle))
  await moveTo(step, 'candidate', 'replayed')
  await advance(step, 'replayed', { took: performance.now() - began })
}
