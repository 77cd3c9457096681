import type { FastifyInstance } from 'fastify'
import type { Context } from '../../change/context.ts'
import { Bundles } from '../../fleet/bundles.ts'
import { getBundle, listBundles } from '../../state/bundles.ts'
import { getVerdict } from '../../state/replays.ts'
import { bundleOf } from './assignment.ts'

export function bundleRoutes(app: FastifyInstance, { state: { redis }, store }: Context): void {
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
}
