import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { Context } from '../../change/context.ts'
import { approve, hold, retry, rollBack } from '../../change/pipeline/decide.ts'
import { followChange } from '../../change/pipeline/follow.ts'
import type { Pipeline } from '../../change/pipeline/pipeline.ts'
import { getChange, listChanges } from '../../state/changes.ts'
import { parseRequest } from './body.ts'
import { streamJob } from './stream-job.ts'

const listQuery = z.object({ count: z.coerce.number().int().min(1).max(500).default(50) })
const detectBody = z.strictObject({
  /** Answer once all that was opened has ended, or waits for a window. */
  wait: z.boolean().default(false),
})
const blueprint = z.string().max(63).optional()
const decideBody = z.strictObject({ blueprint })
const holdBody = z.strictObject({ blueprint, reason: z.string().trim().min(1).max(400).default('held by hand') })

interface OfChange {
  readonly Params: { readonly id: string }
}

/** Changes: what came of what the sources offer, of edited trees and of gated bundles, blueprint by blueprint. */
export function changeRoutes(app: FastifyInstance, context: Context, pipeline: Pipeline): void {
  const { redis } = context.state

  app.get('/v1/changes', ({ query }) => listChanges(redis, parseRequest(listQuery, query).count))

  app.get<OfChange>('/v1/changes/:id', ({ params: { id } }) => getChange(redis, id))

  app.post('/v1/changes/detect', async ({ body }, reply) => {
    const { wait } = parseRequest(detectBody, body)
    return streamJob(reply, async (progress, signal) => {
      if (wait) await pipeline.start()
      const opened = await pipeline.detect([], signal)
      if (wait) await followChange(redis, opened, progress, signal)
      return Promise.all([...new Set(opened.map(({ change }) => change))].map((id) => getChange(redis, id)))
    })
  })

  app.post<OfChange>('/v1/changes/:id/approve', async ({ params: { id }, body }) => {
    await approve(context, id, parseRequest(decideBody, body).blueprint)
    return getChange(redis, id)
  })

  app.post<OfChange>('/v1/changes/:id/hold', async ({ params: { id }, body }) => {
    const asked = parseRequest(holdBody, body)
    await hold(context, id, asked.reason, asked.blueprint)
    return getChange(redis, id)
  })

  app.post<OfChange>('/v1/changes/:id/retry', async ({ params: { id }, body }) => {
    await retry(context, id, parseRequest(decideBody, body).blueprint)
    await pipeline.wake()
    return getChange(redis, id)
  })

  app.post<OfChange>('/v1/changes/:id/rollback', async ({ params: { id } }) => {
    const undone = await rollBack(context, id)
    return { change: await getChange(redis, id), undone }
  })
}
