import { BootloomError } from '../../config/errors.ts'
import { wovenBlueprint } from '../applied.ts'
import { verifyBundle } from '../verify/verify.ts'
import { advance, note, type Stepping } from './part.ts'

/** Boots the candidate and drives it. VERIFY_FAILED with all that was found. */
export async function verifyStep(step: Stepping): Promise<void> {
  const { name, part, work } = step
  const began = performance.now()
  const { blueprint } = await wovenBlueprint(work.context, name.blueprint)
  const replaced = part.base?.bundle === part.bundle ? null : (part.base?.bundle ?? null)
  const { holds, by, findings, notes, figures } = await verifyBundle(name, blueprint, part.bundle!, replaced, work)
  const verified = { by, findings: findings.slice(0, 40), notes: notes.slice(0, 40), figures }
  if (!holds) {
    await note(step, { verified })
    throw new BootloomError('VERIFY_FAILED', findings[0] ?? 'it was not verified', {
      where: name.blueprint,
      details: [...findings.slice(1), ...notes].slice(0, 60),
    })
  }
  await advance(step, 'verified', { verified, took: performance.now() - began })
}
