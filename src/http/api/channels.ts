import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { BootloomError } from '../../config/errors.ts'
import { Bundles } from '../../fleet/bundles.ts'
import { blueprintNames } from '../../state/blueprints.ts'
import {
  channelNames,
  channelPointers,
  getChannels,
  listHolds,
  moveChannel,
  releaseHold,
  rollbackChannel,
} from '../../state/channels.ts'
import { addEvent } from '../../state/events.ts'
import { parseDigest } from '../../store/digest.ts'
import type { ApiContext } from '../api-server.ts'
import { assignmentBody, bundleOf, requireBlueprint } from './assignment.ts'
import { parseRequest } from './body.ts'

const moveBody = z.strictObject({
  digest: z.string(),
  /** Move only when the channel points there now; null: only when it points nowhere. */
  expected: z.string().nullable().optional(),
  reason: z.string().max(400).default('moved by hand'),
})

/** The bundle to go back to, by its digest or its first digits; without it the one before. */
const rollbackBody = z.strictObject({ to: assignmentBody.bundle })

const channelParams = z.object({ blueprint: z.string(), channel: z.enum(channelNames) })

export function channelRoutes(app: FastifyInstance, { state: { redis }, store }: ApiContext): void {
  const bundles = new Bundles(store)

  app.get('/v1/channels', async () => {
    const [names, holds] = await Promise.all([blueprintNames(redis), listHolds(redis)])
    const row = async (blueprint: string) => {
      const hold = holds.get(blueprint)
      return { blueprint, ...(await channelPointers(redis, blueprint)), ...(hold ? { hold } : {}) }
    }
    return Promise.all(names.sort().map(row))
  })

  app.get<{ Params: { blueprint: string } }>('/v1/channels/:blueprint', async ({ params: { blueprint } }) => {
    const channels = await getChannels(redis, blueprint)
    if (Object.keys(channels).length === 0) await requireBlueprint(redis, blueprint)
    return channels
  })

  app.post<{ Params: { blueprint: string } }>('/v1/channels/:blueprint/release', async ({ params: { blueprint } }) => {
    await requireBlueprint(redis, blueprint)
    const released = await releaseHold(redis, blueprint)
    await addEvent(redis, { event: 'channel-released', blueprint, released })
    return { blueprint, released }
  })

  app.post('/v1/channels/:blueprint/:channel', async ({ params, body }) => {
    const { blueprint, channel } = parseRequest(channelParams, params)
    const asked = parseRequest(moveBody, body)
    const digest = parseDigest(asked.digest)
    const { config } = await bundles.get(digest)
    if (config.blueprint !== blueprint) {
      throw new BootloomError('USAGE', `this bundle is of the blueprint ${config.blueprint}`, { where: digest })
    }
    const expected = typeof asked.expected === 'string' ? parseDigest(asked.expected) : asked.expected
    const { reason } = asked
    const move = { blueprint, channel, digest, reason, ...(expected === undefined ? {} : { expected }) }
    const moved = await moveChannel(redis, move)
    if (moved) await addEvent(redis, { event: 'channel-moved', blueprint, channel, bundle: digest, reason })
    return { blueprint, channel, digest, moved }
  })

  app.post('/v1/channels/:blueprint/:channel/rollback', async ({ params, body }) => {
    const { blueprint, channel } = parseRequest(channelParams, params)
    await requireBlueprint(redis, blueprint)
    const { to } = parseRequest(rollbackBody, body)
    const named = to === undefined ? undefined : await bundleOf(redis, to)
    if (named && named.blueprint !== blueprint) {
      throw new BootloomError('USAGE', `this bundle is of the blueprint ${named.blueprint}`, { where: named.bundle })
    }
    // A bundle that cannot be served would leave every node of the channel without one.
    if (named) await bundles.get(named.bundle)
    const digest = await rollbackChannel(redis, blueprint, channel, named?.bundle)
    await addEvent(redis, { event: 'channel-moved', blueprint, channel, bundle: digest, reason: 'rolled back' })
    return { blueprint, channel, digest, moved: true }
  })
}
