import { isForeign } from '../../blueprint/parse.ts'
import type { Stack } from '../../repository/stack.ts'
import { listBlueprints } from '../../state/blueprints.ts'
import { type OpenedPart, openChange } from '../../state/change-opening.ts'
import type { ChangeUpdate, PartName } from '../../state/changes.ts'
import type { Digest } from '../../store/digest.ts'
import { appliedBlueprint } from '../applied.ts'
import type { Context } from '../context.ts'
import type { ImpactReport, ImpactRow } from '../impact/report.ts'
import { newPart } from './part.ts'

/** Paths told of one blueprint. */
const mostPaths = 20

/**
 * Makes a change of what the sources offer: a share for every blueprint that has something older, to be woven where a
 * file of its bundle differs, and else ended with the reason. `asked`: only these, and they are woven whatever the index
 * says.
 */
export async function openFromSources(
  context: Context,
  { offered, rows }: ImpactReport,
  asked: readonly string[] = [],
): Promise<PartName[]> {
  const { redis } = context.state
  const known = new Set(
    (await listBlueprints(redis)).flatMap(({ name, selectionDigest }) => (selectionDigest ? name : [])),
  )
  const byBlueprint = new Map<string, ImpactRow[]>(asked.map((name) => [name, []]))
  for (const row of rows) {
    // What only a running node still has is no longer a channel's: nothing is woven for it.
    if (row.channels.length === 0 || row.to === null || row.component === null) continue
    if (asked.length > 0 && !asked.includes(row.blueprint)) continue
    byBlueprint.set(row.blueprint, [...(byBlueprint.get(row.blueprint) ?? []), row])
  }
  const parts = [...byBlueprint]
    .filter(([name]) => known.has(name))
    .map(([name, own]) => openedPart(name, own, offered, asked.includes(name)))
  return openChange(redis, asked.length > 0 ? 'asked' : 'sources', parts)
}

/** Says why its bundle stays as it is, where it does. */
function openedPart(
  blueprint: string,
  rows: readonly ImpactRow[],
  offered: ImpactReport['offered'],
  asked: boolean,
): OpenedPart {
  const free = rows.filter(({ pin, from }) => pin === undefined || pin.version !== from?.version)
  const affected = free.filter(({ verdict }) => verdict === 'affected')
  const updates = rows.map((row) => updateOf(row, offered, !free.includes(row)))
  if (affected.length === 0 && !asked) {
    return { part: newPart(blueprint, 'unaffected', { why: reasonOf(rows, free) }), updates: unique(updates) }
  }
  const paths = [...new Set(affected.flatMap(({ files }) => files.map(({ path }) => path)))].sort()
  const impact = { files: paths.length, paths: paths.slice(0, mostPaths) }
  const more = { impact, ...(asked ? { asked: true as const } : {}) }
  return { part: newPart(blueprint, 'detected', more), updates: unique(updates), always: asked }
}

function updateOf(
  { component, from, to, files }: ImpactRow,
  offered: ImpactReport['offered'],
  pinned: boolean,
): ChangeUpdate {
  const { kind, name } = component!
  const offer = offered.find((one) => one.version === to!.version && (kind === 'kernel' || one.name === name))
  return {
    kind,
    name,
    from: from?.version ?? null,
    to: to!.version,
    files: files.length,
    suites: [...(offer?.suites ?? [])],
    fixes: [...(offer?.fixes ?? [])],
    ...(pinned ? { pinned: true as const } : {}),
  }
}

/** A stack may have several bundles in use, and so a component several rows: the one that matters most counts. */
function unique(updates: readonly ChangeUpdate[]): ChangeUpdate[] {
  const found = new Map<string, ChangeUpdate>()
  for (const update of updates) {
    const key = `${update.kind} ${update.name} ${update.pinned ?? false}`
    const other = found.get(key)
    if (!other || other.files < update.files) found.set(key, update)
  }
  return [...found.values()]
}

function reasonOf(rows: readonly ImpactRow[], free: readonly ImpactRow[]): string {
  const pinned = rows.filter((row) => !free.includes(row) && row.verdict === 'affected')
  if (pinned.length > 0) {
    const words = pinned.map(({ component, pin }) => `${component!.name} is pinned to ${pin!.version}: ${pin!.reason}`)
    return [...new Set(words)].join('; ').slice(0, 400)
  }
  const keptAny = rows.some(({ kept }) => kept > 0)
  return keptAny ? 'no file that the bundle keeps differs' : 'nothing of it is in the bundle'
}

/**
 * A tree of a gated blueprint changed: a change, unless one was about this very state of it. `before` and `after` are the
 * stacks.
 */
export async function openFromTrees(context: Context, name: string, before: Stack, after: Stack): Promise<PartName[]> {
  const old = new Map(before.components.flatMap((one) => (one.kind === 'tree' ? [[one.name, one]] : [])))
  const updates = after.components.flatMap((one): ChangeUpdate[] => {
    if (one.kind !== 'tree' || old.get(one.name)?.digest === one.digest) return []
    const from = old.get(one.name)?.version ?? null
    return [{ kind: 'tree', name: one.name, from, to: one.digest, files: 0, suites: [], fixes: [] }]
  })
  return openChange(context.state.redis, 'tree', [{ part: newPart(name, 'detected'), updates }])
}

interface Made {
  readonly bundle: Digest
  /** Where the channels stood. */
  readonly stable: Digest | null
  readonly candidate: Digest | null
  readonly woven: readonly string[]
}

/** What was woven because somebody asked, and replayed unless they asked not to: it takes the rest of the road. */
export function openFromBundle(
  context: Context,
  blueprint: string,
  { bundle, stable, candidate, woven }: Made,
): Promise<PartName[]> {
  const moved = [{ channel: 'candidate' as const, from: candidate, to: bundle, at: Date.now(), reason: 'composed' }]
  const more = { bundle, base: { bundle: stable ?? candidate }, woven: [...woven], replay: false as const, moved }
  const part = newPart(blueprint, 'woven', more)
  return openChange(context.state.redis, 'composed', [{ part, updates: [], always: true }])
}

/** Names of blueprints that were woven: what there is nothing of yet has nothing that could change. */
export async function wovenNames(context: Context, wanted?: string): Promise<{ woven: string[]; others: string[] }> {
  const woven: string[] = []
  const others: string[] = []
  for (const { name, selectionDigest } of await listBlueprints(context.state.redis)) {
    if (wanted !== undefined && name !== wanted) continue
    const { blueprint } = await appliedBlueprint(context, name)
    const isWoven = selectionDigest !== undefined && !isForeign(blueprint)
    ;(isWoven ? woven : others).push(name)
  }
  return { woven, others }
}
