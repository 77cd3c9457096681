import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { Context } from '../../change/context.ts'
import { impactOf } from '../../change/impact/impact.ts'
import { impactWork } from '../../change/impact/jobs.ts'
import type { Workshop } from '../../change/workshop.ts'
import { parseRequest } from './body.ts'
import { streamJob } from './stream-job.ts'

const questionBody = z.strictObject({
  package: z.string().max(400).optional(),
  cve: z.string().max(80).optional(),
  file: z.string().max(4096).regex(/^\//, 'must be an absolute path').optional(),
  digest: z
    .string()
    .regex(/^(sha256:)?[0-9a-fA-F]{6,64}$/, 'must be a digest, or six of its first digits at least')
    .optional(),
})

/** What an update, a flaw or a file means for the bundles in use. */
export function impactRoutes(app: FastifyInstance, context: Context, workshop: Workshop): void {
  app.post('/v1/impact', async ({ body }, reply) => {
    const question = parseRequest(questionBody, body)
    return streamJob(reply, (progress, signal) =>
      impactOf(
        question,
        context,
        impactWork((job) => workshop.run(job, progress, signal)),
      ),
    )
  })

  app.post('/v1/impact/rebuild', async (_request, reply) =>
    streamJob(reply, (progress, signal) => workshop.run({ kind: 'impact-index', rebuild: true }, progress, signal)),
  )
}
