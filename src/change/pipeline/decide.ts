import { BootloomError } from '../../config/errors.ts'
import { sameContent } from '../../fleet/stale.ts'
import {
  type ChangePart,
  getChange,
  isOpen,
  listChanges,
  type PartName,
  type PartState,
  updatePart,
} from '../../state/changes.ts'
import { channelPointers, moveChannel } from '../../state/channels.ts'
import { addEvent } from '../../state/events.ts'
import type { Context } from '../context.ts'
import { promoteStep } from './promote-step.ts'
import { goBack } from './road.ts'

/** Shares of a change, all or those of one blueprint; CHANGE_UNKNOWN. */
async function sharesOf(context: Context, id: string, blueprint?: string): Promise<readonly ChangePart[]> {
  const { parts } = await getChange(context.state.redis, id)
  const found = blueprint === undefined ? parts : parts.filter((part) => part.blueprint === blueprint)
  if (found.length > 0) return found
  throw new BootloomError('CHANGE_UNKNOWN', `change ${id} is not about ${blueprint}`, { where: id })
}

const none = (id: string, what: string) =>
  new BootloomError('CHANGE_STATE', `nothing of change ${id} ${what}`, { where: id })

/** Takes the shares that fit to a state, with a word on why; which ones those are is looked at as they are written. */
async function settle(
  context: Context,
  id: string,
  shares: readonly ChangePart[],
  fits: (part: ChangePart) => boolean,
  next: (part: ChangePart) => { readonly state: PartState; readonly note: string } & Partial<ChangePart>,
  of: (part: ChangePart) => ChangePart = (part) => part,
): Promise<PartName[]> {
  const settled: PartName[] = []
  for (const { blueprint } of shares) {
    let changed = false
    await updatePart(context.state.redis, { change: id, blueprint }, (current) => {
      changed = fits(current)
      if (!changed) return undefined
      const { why: _why, error: _error, approvable: _approvable, until: _until, ...rest } = of(current)
      const { note, ...more } = next(current)
      return { ...rest, ...more, history: [...current.history, { state: more.state, at: Date.now(), note }] }
    })
    if (changed) settled.push({ change: id, blueprint })
  }
  return settled
}

/** Promotes, at once, what waits for a person or for a window. CHANGE_STATE when nothing does. */
export async function approve(context: Context, id: string, blueprint?: string): Promise<PartName[]> {
  const shares = await sharesOf(context, id, blueprint)
  const waits = (part: ChangePart) => part.state === 'waiting' || (part.state === 'held' && part.approvable === true)
  const to = { state: 'verified', note: 'approved', approved: true } as const
  const approved = await settle(context, id, shares, waits, () => to)
  if (approved.length === 0) throw none(id, 'waits to be approved')
  const work = { context, progress: () => {}, signal: new AbortController().signal }
  for (const name of approved) {
    const [part] = await sharesOf(context, id, name.blueprint)
    await promoteStep({ name, part: part!, work })
  }
  return approved
}

/** What waits for a person, and came to `stable` all the same, by a rollout or by hand, waits no longer. */
export async function settleArrived(context: Context, blueprint: string): Promise<PartName[]> {
  const { redis } = context.state
  const { stable } = await channelPointers(redis, blueprint)
  if (!stable) return []
  const settled: PartName[] = []
  for (const { id, parts } of await listChanges(redis)) {
    const part = parts.find((one) => one.blueprint === blueprint && one.state === 'held' && one.approvable)
    if (!part?.bundle || !(await sameContent(context.store, stable, part.bundle))) continue
    settled.push(...(await approve(context, id, blueprint)))
  }
  return settled
}

/** Stops what is under way where it stands. CHANGE_STATE when nothing is. */
export async function hold(context: Context, id: string, why: string, blueprint?: string): Promise<PartName[]> {
  const shares = await sharesOf(context, id, blueprint)
  const held = await settle(context, id, shares, isOpen, (part) => ({
    ...{ state: 'held', why, note: why },
    ...(part.state === 'verified' || part.state === 'waiting' ? { approvable: true as const } : {}),
  }))
  if (held.length === 0) throw none(id, 'is under way')
  return held
}

/** Takes what was held up again from its beginning. CHANGE_STATE when nothing was. */
export async function retry(context: Context, id: string, blueprint?: string): Promise<PartName[]> {
  const shares = await sharesOf(context, id, blueprint)
  const isHeld = ({ state }: ChangePart) => state === 'held'
  // What was composed by hand has no sources of its own to be woven from: the bundle stands.
  const isComposed = ({ bundle, stack }: ChangePart) => bundle !== undefined && stack === undefined
  const retried = await settle(
    context,
    id,
    shares,
    isHeld,
    (part) => ({ state: isComposed(part) ? 'woven' : 'detected', note: 'retried', retried: true }),
    (part) => (isComposed(part) ? part : asDetected(part)),
  )
  if (retried.length === 0) throw none(id, 'is held')
  return retried
}

/** What it came to before is not what it comes to now. */
function asDetected(part: ChangePart): ChangePart {
  const { base: _base, stack: _stack, bundle: _bundle, woven: _woven, weaving: _weaving, ...rest } = part
  const { verified: _verified, approved: _approved, ...left } = rest
  return { ...left, moved: [] }
}

/** What rolling back did with one channel. */
export interface Undone {
  readonly blueprint: string
  readonly channel: string
  readonly to: string | null
  /** `back`: it stands where it stood. `left`: it had moved on, or pointed nowhere before. */
  readonly outcome: 'back' | 'left'
}

/**
 * Brings all channels that a change moved back to where they stood, and its blueprints to what they had; what has moved
 * on since is left alone and told. CHANGE_STATE when it moved none.
 */
export async function rollBack(context: Context, id: string): Promise<Undone[]> {
  const { redis } = context.state
  const undone: Undone[] = []
  for (const { blueprint, moved, stack, base, state } of await sharesOf(context, id)) {
    if (state === 'rolled-back') continue
    for (const { channel, from, to } of moved.toReversed()) {
      const standing = (await channelPointers(redis, blueprint))[channel]
      const stands = standing !== undefined && (await sameContent(context.store, standing, to))
      const outcome = stands && from !== null ? 'back' : 'left'
      if (stands && from !== null) {
        const reason = `change ${id} rolled back`
        await moveChannel(redis, { blueprint, channel, digest: from, reason, rollback: true })
        await addEvent(redis, { event: 'channel-moved', blueprint, channel, bundle: from, reason })
      }
      undone.push({ blueprint, channel, to: from, outcome })
    }
    if (moved.length === 0 && !isOpen({ state })) continue
    if (stack !== undefined) await goBack(blueprint, stack, base, context)
    await settle(
      context,
      id,
      [{ blueprint } as ChangePart],
      (part) => part.state !== 'rolled-back',
      () => ({ state: 'rolled-back', note: 'rolled back' }),
    )
  }
  if (undone.length === 0) throw none(id, 'has moved a channel')
  return undone
}
