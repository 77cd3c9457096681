import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { BootloomError } from '../../config/errors.ts'
import { Bundles } from '../../fleet/bundles.ts'
import { channelNames, getChannels, moveChannel, rollbackChannel } from '../../state/channels.ts'
import { addEvent } from '../../state/events.ts'
import { parseDigest } from '../../store/digest.ts'
import type { ApiContext } from '../api-server.ts'
import { requireBlueprint } from './assignment.ts'
import { parseRequest } from './body.ts'

const moveBody = z.strictObject({
  digest: z.string(),
  /** Move only when the channel points there now; null: only when it points nowhere. */
  expected: z.string().nullable().optional(),
  reason: z.string().max(400).default('moved by hand'),
})

const channelParams = z.object({ blueprint: z.string(), channel: z.enum(channelNames) })

export function channelRoutes(app: FastifyInstance, { state: { redis }, store }: ApiContext): void {
  const bundles = new Bundles(store)

  app.get<{ Params: { blueprint: string } }>('/v1/channels/:blueprint', async ({ params: { blueprint } }) => {
    const channels = await getChannels(redis, blueprint)
    if (Object.keys(channels).length === 0) await requireBlueprint(redis, blueprint)
    return channels
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

  app.post('/v1/channels/:blueprint/:channel/rollback', async ({ params }) => {
    const { blueprint, channel } = parseRequest(channelParams, params)
    const digest = await rollbackChannel(redis, blueprint, channel)
    await addEvent(redis, { event: 'channel-moved', blueprint, channel, bundle: digest, reason: 'rolled back' })
    return { blueprint, channel, digest, moved: true }
  })
}
