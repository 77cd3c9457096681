import { z } from 'zod'
import { BootloomError } from '../../config/errors.ts'
import { nearest } from '../../config/nearest.ts'
import { blueprintNames } from '../../state/blueprints.ts'
import { listBundles } from '../../state/bundles.ts'
import { channelNames } from '../../state/channels.ts'
import type { Assignment } from '../../state/nodes.ts'
import type { Redis } from '../../state/redis.ts'
import type { Digest } from '../../store/digest.ts'

/** How an assignment is written in a request: `bundle` may be the first digits of a digest. */
export const assignmentBody = {
  blueprint: z.string().max(63).optional(),
  channel: z.enum(channelNames).optional(),
  bundle: z
    .string()
    .regex(/^(sha256:)?[0-9a-f]{4,64}$/, 'must be a digest or its first digits')
    .optional(),
}

interface AssignmentRequest {
  readonly blueprint?: string | undefined
  readonly channel?: (typeof channelNames)[number] | undefined
  readonly bundle?: string | undefined
}

/**
 * The assignment that a request asks for, or the present one when it asks for none. BLUEPRINT_UNKNOWN, BUNDLE_UNKNOWN;
 * USAGE when its parts do not go together.
 */
export async function assignmentFrom(
  redis: Redis,
  request: AssignmentRequest,
  present: Assignment | undefined,
): Promise<Assignment | undefined> {
  const { channel, bundle } = request
  if (bundle !== undefined) {
    if (channel !== undefined) throw new BootloomError('USAGE', 'a channel and a bundle exclude each other')
    const pinned = await bundleOf(redis, bundle)
    if (request.blueprint !== undefined && request.blueprint !== pinned.blueprint) {
      throw new BootloomError('USAGE', `this bundle is of the blueprint ${pinned.blueprint}`, { where: pinned.bundle })
    }
    return pinned
  }
  if (request.blueprint === undefined && channel === undefined) return present
  const blueprint = request.blueprint ?? present?.blueprint
  if (blueprint === undefined) throw new BootloomError('USAGE', 'a channel needs a blueprint')
  await requireBlueprint(redis, blueprint)
  return { blueprint, channel: channel ?? 'stable' }
}

/** BLUEPRINT_UNKNOWN, with the name that was probably meant, unless a blueprint of this name is applied. */
export async function requireBlueprint(redis: Redis, blueprint: string): Promise<void> {
  const names = await blueprintNames(redis)
  if (names.includes(blueprint)) return
  const meant = nearest(blueprint, names)
  throw new BootloomError('BLUEPRINT_UNKNOWN', `no blueprint '${blueprint.slice(0, 63)}' is applied`, {
    ...(meant === undefined ? {} : { hint: `Did you mean ${meant}?` }),
    ...(names.length === 0 ? {} : { details: [`applied: ${names.sort().slice(0, 20).join(', ')}`] }),
  })
}

/** The bundle whose digest begins so; BUNDLE_UNKNOWN, or USAGE when several do. */
export async function bundleOf(redis: Redis, text: string): Promise<{ blueprint: string; bundle: Digest }> {
  const wanted = `sha256:${text.replace(/^sha256:/, '')}`
  const found = (await listBundles(redis)).filter(({ digest }) => digest.startsWith(wanted))
  if (found.length === 1) return { blueprint: found[0]!.blueprint, bundle: found[0]!.digest }
  if (found.length === 0) throw new BootloomError('BUNDLE_UNKNOWN', `no bundle's digest begins with ${text}`)
  throw new BootloomError('USAGE', `${found.length} bundles' digests begin with ${text}`, {
    details: found.slice(0, 10).map(({ digest }) => digest),
  })
}
