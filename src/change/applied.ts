import { join } from 'node:path'
import type { ForeignBlueprint } from '../blueprint/foreign.ts'
import { isForeign, parseAnyBlueprint } from '../blueprint/parse.ts'
import { type Blueprint, isGated } from '../blueprint/schema.ts'
import { BootloomError } from '../config/errors.ts'
import { nearest } from '../config/nearest.ts'
import { type BlueprintRecord, blueprintNames, getBlueprint, updateBlueprint } from '../state/blueprints.ts'
import { addEvent } from '../state/events.ts'
import { canonicalJson } from '../store/digest.ts'
import type { Context } from './context.ts'

/** A blueprint as it was applied, and how far the work on it has come. */
export interface Applied {
  readonly blueprint: Blueprint | ForeignBlueprint
  readonly record: BlueprintRecord
}

/** As `Applied`, of an application. */
export interface AppliedWoven extends Applied {
  readonly blueprint: Blueprint
}

const read = (yaml: string, directory: string, file = 'blueprint.yaml') =>
  parseAnyBlueprint(yaml, join(directory, file))

/**
 * Takes a blueprint in. What an earlier version of it led to is kept as far as it still holds; the profile does while
 * the application is run in the same way. `file` names the blueprint in errors.
 * BLUEPRINT_INVALID when it does not fit the format.
 */
export async function applyBlueprint(
  context: Context,
  { yaml, directory, file }: { yaml: string; directory: string; file?: string | undefined },
): Promise<BlueprintRecord> {
  const blueprint = read(yaml, directory, file)
  const digest = await context.store.write(Buffer.from(yaml))
  const record = await updateBlueprint(context.state.redis, blueprint.name, (current) => {
    const before = current && read(current.yaml, current.directory)
    return {
      name: blueprint.name,
      yaml,
      directory,
      digest,
      updatedAt: Date.now(),
      ...(!isForeign(blueprint) && isGated(blueprint) ? { gated: true as const } : {}),
      ...(current?.stackDigest ? { stackDigest: current.stackDigest } : {}),
      ...(current?.stackSources ? { stackSources: current.stackSources } : {}),
      ...(current?.profileDigest &&
      before &&
      !isForeign(before) &&
      !isForeign(blueprint) &&
      same(before, blueprint, ['start', 'service', 'services', 'probe', 'workload', 'files', 'writable'])
        ? {
            profileDigest: current.profileDigest,
            ...(current.observationDigest ? { observationDigest: current.observationDigest } : {}),
          }
        : {}),
      ...(current?.widened ? { widened: current.widened } : {}),
      ...(current?.held ? { held: current.held } : {}),
      ...(current?.selectionDigest ? { selectionDigest: current.selectionDigest } : {}),
    }
  })
  await addEvent(context.state.redis, { event: 'blueprint-applied', blueprint: blueprint.name })
  return record
}

function same(before: Blueprint, after: Blueprint, parts: readonly (keyof Blueprint)[]): boolean {
  return parts.every((part) => canonicalJson(before[part] ?? null) === canonicalJson(after[part] ?? null))
}

/** The sources of a blueprint; a foreign one has none. */
export const stackOf = (blueprint: Blueprint | ForeignBlueprint): Blueprint['stack'] =>
  isForeign(blueprint) ? [] : blueprint.stack

/** BLUEPRINT_UNKNOWN, with the nearest name, when it was never applied. */
export async function appliedBlueprint(context: Context, name: string): Promise<Applied> {
  const record = await getBlueprint(context.state.redis, name)
  if (record) return { record, blueprint: read(record.yaml, record.directory) }
  const close = nearest(name, await blueprintNames(context.state.redis))
  throw new BootloomError('BLUEPRINT_UNKNOWN', `no blueprint ${name} was applied`, {
    ...(close === undefined ? {} : { hint: `Did you mean ${close}? \`bootloom blueprint list\` lists them.` }),
  })
}

/** As `appliedBlueprint`, of an application; BLUEPRINT_FOREIGN when there is nothing to observe or weave. */
export async function wovenBlueprint(context: Context, name: string): Promise<AppliedWoven> {
  const { blueprint, record } = await appliedBlueprint(context, name)
  if (!isForeign(blueprint)) return { blueprint, record }
  throw new BootloomError('BLUEPRINT_FOREIGN', `${name} is foreign: it is not observed or woven`)
}
