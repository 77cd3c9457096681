import type { Selection } from '../../blueprint/selection.ts'
import type { Stack } from '../../repository/stack.ts'
import { getVerdict, putVerdict } from '../../state/replays.ts'
import type { Digest } from '../../store/digest.ts'
import { wovenBlueprint } from '../applied.ts'
import { publish } from '../publish.ts'
import { weave } from '../weave.ts'
import type { Work } from '../work.ts'
import { inputsOf } from './inputs.ts'

/**
 * Weaves a promoted bundle at the thorough level, from the very selection that it was woven of, and has the channels
 * follow; nothing when something newer was selected since.
 */
export async function weaveThoroughly(name: string, bundle: Digest, work: Work): Promise<void> {
  const { context } = work
  const inputs = await inputsOf(bundle, context)
  const applied = await wovenBlueprint(context, name)
  const { digest, selectionDigest } = applied.record
  if (digest !== inputs.blueprint || selectionDigest !== inputs.selection) return
  const stack = await context.store.readJson<Stack>(inputs.stack)
  const selection = await context.store.readJson<Selection>(inputs.selection)
  const selected = { selection, digest: inputs.selection }
  const woven = await weave(applied, stack, selected, { level: 'thorough' }, work)
  const verdict = await getVerdict(context.state.redis, bundle)
  if (verdict) await putVerdict(context.state.redis, woven.digest, verdict)
  const publication = { blueprint: name, bundle: woven.digest, level: 'thorough', woven: woven.woven } as const
  await publish(context, { ...publication, reason: 'woven thoroughly' }, { selection: inputs.selection })
}
