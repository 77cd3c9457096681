import { thresholdsOf } from '../../blueprint/policy-schema.ts'
import { asBootloomError, type BootloomError } from '../../config/errors.ts'
import type { BlueprintRecord } from '../../state/blueprints.ts'
import { forgetUpdates, getPart, openParts, type PartName, updatePart } from '../../state/changes.ts'
import { channelPointers, moveChannel } from '../../state/channels.ts'
import { wovenBlueprint } from '../applied.ts'
import type { Context } from '../context.ts'
import { returnCanaries } from '../verify/return.ts'
import { remember, type Work } from '../work.ts'
import type { Stepping } from './part.ts'
import { promoteStep, rolloutLook } from './promote-step.ts'
import { replayStep } from './replay-step.ts'
import { verifyStep } from './verify-step.ts'
import { weaveStep } from './weave-step.ts'

/** How far a share was taken: to its end, or to where it must be taken up again at a time (milliseconds since 1970). */
export interface Taken {
  readonly until?: number
}

/** Milliseconds after which a share is looked at again that another one of the same blueprint goes before. */
const turn = 1000

/**
 * Takes one blueprint's share of a change as far as it goes: woven, replayed, verified, promoted or held. What it has done
 * stands in Redis step by step, so whoever takes it up after a kill goes on behind the last step. Throws what has nothing
 * to do with the bundle (no mirror, no disk): the share then stands where it stood.
 */
export async function takeRoad(name: PartName, work: Work): Promise<Taken> {
  const { redis } = work.context.state
  for (;;) {
    work.signal.throwIfAborted()
    const part = await getPart(redis, name)
    const step = { name, part, work }
    await returnCanaries(work.context)
    if (await goesBehind(name, work.context)) return { until: Date.now() + turn }
    try {
      switch (part.state) {
        case 'detected':
          await weaveStep(step)
          break
        case 'woven':
          if (!(await replayStep(step))) return { until: Date.now() + rolloutLook }
          break
        case 'replayed':
          await ((await isToBeVerified(step)) ? verifyStep(step) : promoteStep(step))
          break
        case 'waiting':
          if (part.until !== undefined && part.until > Date.now()) return { until: part.until }
          await promoteStep(step)
          break
        case 'verified':
          await promoteStep(step)
          break
        default:
          return {}
      }
    } catch (error) {
      work.signal.throwIfAborted()
      const typed = asBootloomError(error)
      if (passing.has(typed.code)) throw typed
      await fail(name, typed, work.context)
    }
  }
}

/** What may be otherwise the next time. */
const passing: ReadonlySet<string> = new Set([
  ...['MIRROR_UNREACHABLE', 'DISK_FULL', 'INTERNAL', 'REDIS_UNREACHABLE', 'COMMAND_FAILED'],
])

const isToBeVerified = async ({ name, work }: Stepping): Promise<boolean> =>
  thresholdsOf((await wovenBlueprint(work.context, name.blueprint)).blueprint.verify) !== undefined

/** An earlier change of the same blueprint goes first, unless it waits for a window: what is woven then is of both. */
async function goesBehind({ change, blueprint }: PartName, { state }: Context): Promise<boolean> {
  for (const other of await openParts(state.redis)) {
    if (other.blueprint !== blueprint || Number(other.change) >= Number(change)) continue
    const part = await getPart(state.redis, other).catch(() => undefined)
    if (part && ['detected', 'woven', 'replayed', 'verified'].includes(part.state)) return true
  }
  return false
}

/**
 * Holds a share for good: the blueprint has again what it had before, so that its trees and other changes go on from
 * there, and the candidate channel stands where it stood.
 */
export async function fail(name: PartName, error: BootloomError, context: Context): Promise<void> {
  const { redis } = context.state
  const { code, message, details } = error
  const part = await getPart(redis, name)
  if (part.stack !== undefined) await goBack(name.blueprint, part.stack, part.base, context)
  const move = part.moved.find(({ channel }) => channel === 'candidate')
  const { candidate } = await channelPointers(redis, name.blueprint)
  if (move?.from && candidate === move.to) {
    const reason = `change ${name.change}: ${code}`
    await moveChannel(redis, {
      blueprint: name.blueprint,
      channel: 'candidate',
      digest: move.from,
      reason,
      rollback: true,
    })
  }
  await updatePart(redis, name, (current) => {
    if (current.state !== part.state) return undefined
    const told = { code, message, ...(details.length > 0 ? { details: details.slice(0, 60) } : {}) }
    const history = [...current.history, { state: 'held' as const, at: Date.now(), note: `${code}: ${message}` }]
    return { ...current, state: 'held', why: message, error: told, history }
  })
  // It was not the bundle's fault: the next look at the sources finds it again.
  if (passing.has(code)) await forgetUpdates(redis, name)
  context.log.warn({ event: 'change-failed', ...name, code, reason: message })
}

/** Gives a blueprint what it had before a change; nothing when something else came since. */
export async function goBack(
  blueprint: string,
  stack: string,
  base: Partial<BlueprintRecord> & { readonly bundle?: unknown } = {},
  context: Context,
): Promise<void> {
  const { record } = await wovenBlueprint(context, blueprint)
  if (record.stackDigest !== stack) return
  const { stackDigest, stackSources, profileDigest, selectionDigest, observationDigest, held } = base
  const before = { stackDigest, stackSources, profileDigest, selectionDigest, observationDigest, held }
  await remember(context, blueprint, before)
}
