import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { wovenBlueprint } from '../../change/applied.ts'
import type { Context } from '../../change/context.ts'
import type { Lessons } from '../../change/lessons.ts'
import { parseMac } from '../../fleet/mac.ts'
import { parseRequest } from './body.ts'
import { streamJob } from './stream-job.ts'

const node = z.string().max(64)

const learnBody = z.strictObject({
  node,
  seconds: z
    .int()
    .min(1)
    .max(90 * 86_400)
    .optional(),
  fresh: z.boolean().optional(),
  watch: z.boolean().optional(),
})

const stopBody = z.strictObject({ node: node.optional() })

interface OfBlueprint {
  readonly Params: { readonly name: string }
}

/** Learning on nodes: who asks is told how it goes; whether somebody listens or not, it goes on until its end. */
export function learnApiRoutes(app: FastifyInstance, context: Context, lessons: Lessons): void {
  app.post<OfBlueprint>('/v1/blueprints/:name/learn', async ({ params: { name }, body }, reply) => {
    const { node, watch = false, ...options } = parseRequest(learnBody, body)
    const mac = parseMac(node)
    await wovenBlueprint(context, name)
    return streamJob(reply, async (progress, signal) =>
      lessons.follow(await lessons.begin(name, mac, options, progress, signal), watch, progress, signal),
    )
  })

  app.post<OfBlueprint>('/v1/blueprints/:name/learn/stop', async ({ params: { name }, body }) => {
    const { node } = parseRequest(stopBody, body ?? {})
    return lessons.stop(name, node === undefined ? undefined : parseMac(node))
  })
}
