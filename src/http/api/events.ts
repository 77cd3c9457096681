import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { BootloomError } from '../../config/errors.ts'
import { followEvents, latestEvents } from '../../state/events.ts'
import type { ApiContext } from '../api-server.ts'
import { parseRequest } from './body.ts'

const query = z.object({
  follow: z.enum(['0', '1']).default('0'),
  count: z.coerce.number().int().min(1).max(10_000).default(100),
  /** Id of the last event that the client has. */
  after: z
    .string()
    .regex(/^\d{1,20}-\d{1,20}$/)
    .optional(),
})

/** Each follower holds a connection to Redis. */
const maxFollowers = 32

export function eventRoutes(app: FastifyInstance, { state: { redis } }: ApiContext): void {
  let followers = 0

  app.get('/v1/events', async (request, reply) => {
    const { follow, count, after } = parseRequest(query, request.query)
    if (follow === '0') return latestEvents(redis, count)
    if (followers >= maxFollowers) throw new BootloomError('USAGE', `${maxFollowers} clients follow the events already`)
    const gone = new AbortController()
    const { raw } = reply.hijack()
    raw.once('close', () => gone.abort())
    raw.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' })
    raw.flushHeaders()
    followers++
    try {
      for await (const event of followEvents(redis, gone.signal, after)) raw.write(`${JSON.stringify(event)}\n`)
    } catch {
      // Redis went away: the stream ends, and the client may come again with `after`.
    } finally {
      followers--
      raw.end()
    }
    return reply
  })
}
