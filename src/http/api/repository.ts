import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { appliedBlueprint } from '../../change/applied.ts'
import type { Context } from '../../change/context.ts'
import type { UpdateReport } from '../../change/report.ts'
import type { Workshop } from '../../change/workshop.ts'
import { listBlueprints } from '../../state/blueprints.ts'
import { listComponents } from '../../state/components.ts'
import { parseRequest } from './body.ts'
import { streamJob } from './stream-job.ts'

const updateBody = z.strictObject({ blueprint: z.string().max(63).optional() })

export function repositoryRoutes(app: FastifyInstance, context: Context, workshop: Workshop): void {
  app.get('/v1/components', () => listComponents(context.state.redis))

  app.post('/v1/repo/update', async ({ body }, reply) => {
    const { blueprint } = parseRequest(updateBody, body)
    if (blueprint !== undefined) await appliedBlueprint(context, blueprint)
    const names = blueprint ? [blueprint] : (await listBlueprints(context.state.redis)).map(({ name }) => name)
    return streamJob(reply, async (progress, signal) => {
      const reports: UpdateReport[] = []
      for (const name of names) reports.push(await workshop.run({ kind: 'update', blueprint: name }, progress, signal))
      return reports
    })
  })
}
