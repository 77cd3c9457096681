import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { Context } from '../../change/context.ts'
import type { Workshop } from '../../change/workshop.ts'
import { Bundles } from '../../fleet/bundles.ts'
import { getBundle, listBundles } from '../../state/bundles.ts'
import { getVerdict } from '../../state/replays.ts'
import { bundleOf } from './assignment.ts'
import { parseRequest } from './body.ts'
import { streamJob } from './stream-job.ts'

const weighBody = z.strictObject({ ram: z.int().min(32).max(65_536).optional() })

export function bundleRoutes(app: FastifyInstance, { state: { redis }, store }: Context, workshop: Workshop): void {
  const bundles = new Bundles(store)

  app.get('/v1/bundles', () => listBundles(redis))

  /** The first digits of a digest are enough. */
  app.get<{ Params: { digest: string } }>('/v1/bundles/:digest', async ({ params }) => {
    const { bundle } = await bundleOf(redis, params.digest)
    const replay = await getVerdict(redis, bundle)
    return {
      ...(await getBundle(redis, bundle)),
      config: (await bundles.get(bundle)).config,
      ...(replay && { replay }),
    }
  })

  /** On a machine of `ram` MiB. */
  app.post<{ Params: { digest: string } }>('/v1/bundles/:digest/weigh', async ({ params, body }, reply) => {
    const { bundle } = await bundleOf(redis, params.digest)
    const job = { kind: 'weigh', bundle, ...parseRequest(weighBody, body) } as const
    return streamJob(reply, (progress, signal) => workshop.run(job, progress, signal))
  })
}
