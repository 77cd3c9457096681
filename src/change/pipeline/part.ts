import { type ChangePart, type PartName, type PartState, updatePart } from '../../state/changes.ts'
import type { Work } from '../work.ts'

/** One blueprint's share of a change, under work. */
export interface Stepping {
  readonly name: PartName
  readonly part: ChangePart
  readonly work: Work
}

/** A blueprint's share at its beginning. */
export const newPart = (blueprint: string, state: PartState, more: Partial<ChangePart> = {}): ChangePart => ({
  blueprint,
  state,
  moved: [],
  history: [{ state, at: Date.now(), ...(more.why === undefined ? {} : { note: more.why }) }],
  ...more,
})

interface Advance extends Partial<Omit<ChangePart, 'state' | 'history'>> {
  readonly took?: number
  readonly note?: string
}

/**
 * Takes a share to the state that comes next, from the one that the step began in: somebody may have held it meanwhile,
 * and then it stays so. What it ended with before is forgotten unless it is said anew.
 */
export function advance({ name, part, work }: Stepping, to: PartState, { took, note, ...more }: Advance = {}) {
  return updatePart(work.context.state.redis, name, (current) => {
    if (current.state !== part.state) return undefined
    const { why: _why, error: _error, approvable: _approvable, until: _until, ...rest } = current
    const entry = { ...(took === undefined ? {} : { took: Math.round(took) }), ...(note === undefined ? {} : { note }) }
    return { ...rest, ...more, state: to, history: [...current.history, { state: to, at: Date.now(), ...entry }] }
  })
}

/** Adds to a share without taking it further. */
export const note = ({ name, part, work }: Stepping, more: Partial<ChangePart>): Promise<ChangePart> =>
  updatePart(work.context.state.redis, name, (current) =>
    current.state === part.state ? { ...current, ...more } : undefined,
  )

/** Has a share wait until a time (milliseconds since 1970) at which it is looked at again; its way tells it once. */
export async function wait(step: Stepping, why: string, until: number): Promise<void> {
  if (step.part.state === 'waiting' && step.part.why === why) await note(step, { until })
  else await advance(step, 'waiting', { why, until, note: why })
}
