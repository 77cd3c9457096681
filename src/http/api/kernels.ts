import type { FastifyInstance } from 'fastify'
import { wovenBlueprint } from '../../change/applied.ts'
import type { Context } from '../../change/context.ts'
import { leanNeedsOf } from '../../change/kernel-job.ts'
import type { Workshop } from '../../change/workshop.ts'
import { BootloomError } from '../../config/errors.ts'
import { nearest } from '../../config/nearest.ts'
import { kernelConfig } from '../../repository/kernel/kernel.ts'
import { loadComponent } from '../../repository/recorded.ts'
import { listBuiltKernels } from '../../state/kernels.ts'
import { streamJob } from './stream-job.ts'

interface OfBlueprint {
  readonly Params: { readonly name: string }
}

/** Kernels that were built here, and building them. */
export function kernelRoutes(app: FastifyInstance, context: Context, workshop: Workshop): void {
  const { state, store } = context

  app.get('/v1/kernels', () => listBuiltKernels(state.redis))

  /** With its whole configuration. */
  app.get<{ Params: { readonly release: string } }>('/v1/kernels/:release', async ({ params: { release } }) => {
    const kernels = await listBuiltKernels(state.redis)
    const found = kernels.find((one) => one.release === release)
    if (!found) {
      const close = nearest(
        release,
        kernels.map((one) => one.release),
      )
      throw new BootloomError('KERNEL_UNKNOWN', `no kernel ${release} was built here`, {
        ...(close === undefined ? {} : { hint: `Did you mean ${close}? \`bootloom kernel list\` lists them.` }),
      })
    }
    const config = kernelConfig(await loadComponent({ digest: found.component }, store))?.digest
    return { ...found, config: config === undefined ? '' : (await store.read(config)).toString('utf8') }
  })

  app.get<OfBlueprint>('/v1/blueprints/:name/kernel', ({ params: { name } }) => leanNeedsOf(name, context))

  app.post<OfBlueprint>('/v1/blueprints/:name/kernel', async ({ params: { name } }, reply) => {
    await wovenBlueprint(context, name)
    return streamJob(reply, (progress, signal) => workshop.run({ kind: 'kernel', blueprint: name }, progress, signal))
  })
}
