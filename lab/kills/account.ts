import { appliedBlueprint, stackOf } from '../../src/change/applied.ts'
import type { Context } from '../../src/change/context.ts'
import { inputsOf } from '../../src/change/pipeline/inputs.ts'
import { sameContent } from '../../src/fleet/stale.ts'
import { refreshTrees } from '../../src/repository/update.ts'
import { type Change, listChanges, openParts } from '../../src/state/changes.ts'
import { getChannels } from '../../src/state/channels.ts'
import type { Redis } from '../../src/state/redis.ts'
import type { Digest } from '../../src/store/digest.ts'
import type { Store } from '../../src/store/store.ts'

/** What came of all changes, and what is wrong with that; nothing should be. */
export interface Account {
  readonly changes: number
  readonly ends: Readonly<Record<string, number>>
  readonly wrong: readonly string[]
}

type Share = Change['parts'][number] & { readonly change: string }

/**
 * Holds all changes against what they must come to: each has ended; a promoted one moved `stable` once, by what its
 * channel's own history says; no two were about the same version of the same thing; and what a tree holds now is on
 * `stable`, unless its change is held.
 */
export async function accountFor(context: Context): Promise<Account> {
  const { store, state } = context
  const { redis } = state
  const shares = (await listChanges(redis)).flatMap(({ id, parts }) =>
    parts.map((part): Share => ({ ...part, change: id })),
  )
  const ends: Record<string, number> = {}
  for (const { state } of shares) ends[state] = (ends[state] ?? 0) + 1
  const open = await openParts(redis)
  const wrong = [
    ...open.map(({ change, blueprint }) => `change ${change} of ${blueprint} has not ended`),
    ...shares.flatMap(twiceOnItsWay),
    ...twiceDone(shares),
    ...(await unmoved(shares, redis, store)),
    ...(await lost(shares, context)),
  ]
  return { changes: shares.length, ends, wrong }
}

/** No step is taken twice, unless somebody asked for it. */
function twiceOnItsWay({ change, blueprint, history }: Share): string[] {
  const states = history.map(({ state }) => state)
  const twice = [...new Set(states)].filter((state) => states.indexOf(state) !== states.lastIndexOf(state))
  return twice.map((state) => `change ${change} of ${blueprint} was ${state} twice`)
}

/** An edit, or a version, is one change's and no other's. */
function twiceDone(shares: readonly Share[]): string[] {
  const seen = new Map<string, string>()
  return shares.flatMap(({ change, blueprint, updates }) =>
    updates.flatMap(({ kind, name, to, pinned }) => {
      if (pinned) return []
      const key = `${blueprint} ${kind} ${name} ${to}`
      const other = seen.get(key)
      seen.set(key, change)
      return other === undefined ? [] : [`${key} is in change ${other} and in change ${change}`]
    }),
  )
}

async function unmoved(shares: readonly Share[], redis: Redis, store: Store): Promise<string[]> {
  const wrong: string[] = []
  for (const blueprint of new Set(shares.map((share) => share.blueprint))) {
    const history = (await getChannels(redis, blueprint)).stable?.history ?? []
    const promoted = shares.filter((share) => share.blueprint === blueprint && share.state === 'promoted')
    for (const { change, bundle } of promoted) {
      const moves = history.filter(({ reason }) => reason.startsWith(`change ${change}:`))
      const right = moves.length === 1 && (await sameContent(store, moves[0]!.to as Digest, bundle!))
      if (!right) wrong.push(`change ${change} of ${blueprint} moved stable ${moves.length} times`)
    }
  }
  return wrong
}

/** Edits that no bundle has, though nobody held them. */
async function lost(shares: readonly Share[], context: Context): Promise<string[]> {
  const wrong: string[] = []
  for (const name of new Set(shares.map(({ blueprint }) => blueprint))) {
    const newest = shares.find(({ blueprint }) => blueprint === name)!
    if (newest.state !== 'promoted') continue
    const { blueprint, record } = await appliedBlueprint(context, name)
    const { stable } = await getChannels(context.state.redis, name)
    const served = stable && (await inputsOf(stable.digest, context)).stack
    const { digest } = await refreshTrees(record.stackDigest!, stackOf(blueprint), context)
    if (digest !== served) wrong.push(`what the trees of ${name} hold is not on stable`)
  }
  return wrong
}
