import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { appliedBlueprint } from '../../change/applied.ts'
import type { Context } from '../../change/context.ts'
import { followChange } from '../../change/pipeline/follow.ts'
import { wovenNames } from '../../change/pipeline/open.ts'
import type { Pipeline } from '../../change/pipeline/pipeline.ts'
import type { UpdateReport } from '../../change/report.ts'
import type { Workshop } from '../../change/workshop.ts'
import { type ChangePart, updatesOf } from '../../state/changes.ts'
import { listComponents } from '../../state/components.ts'
import { parseRequest } from './body.ts'
import { streamJob } from './stream-job.ts'

const updateBody = z.strictObject({ blueprint: z.string().max(63).optional() })

export function repositoryRoutes(app: FastifyInstance, context: Context, workshop: Workshop, pipeline: Pipeline): void {
  const { redis } = context.state

  app.get('/v1/components', () => listComponents(redis))

  /** What was woven before is a change, and takes its road; for the others, packages are only resolved and fetched. */
  app.post('/v1/repo/update', async ({ body }, reply) => {
    const { blueprint } = parseRequest(updateBody, body)
    if (blueprint !== undefined) await appliedBlueprint(context, blueprint)
    const { woven, others } = await wovenNames(context, blueprint)
    return streamJob(reply, async (progress, signal) => {
      const reports: UpdateReport[] = []
      for (const name of others) reports.push(await workshop.run({ kind: 'update', blueprint: name }, progress, signal))
      if (woven.length === 0) return reports
      const began = performance.now()
      await pipeline.start()
      progress({ step: 'detect', detail: 'what the sources have newer' })
      const opened = await pipeline.detect(woven, signal)
      for (const share of await followChange(redis, opened, progress, signal)) {
        reports.push(await reportOf(share, (performance.now() - began) / 1000))
      }
      return reports
    })
  })

  async function reportOf(share: ChangePart & { readonly change: string }, seconds: number): Promise<UpdateReport> {
    const { blueprint, change, state, why, stack, base, bundle } = share
    const updates = await updatesOf(redis, { change, blueprint })
    const changed = updates.map(({ name, from, to }) => ({ name, from, to }))
    const verdict =
      state === 'promoted'
        ? 'woven'
        : state === 'waiting' || state === 'held'
          ? state
          : changed.length === 0
            ? 'unchanged'
            : 'unaffected'
    return {
      blueprint,
      change,
      stack: (stack ?? base?.stackDigest)!,
      changed,
      verdict,
      ...(bundle ? { bundle } : {}),
      ...(why ? { why } : {}),
      seconds,
    }
  }
}
