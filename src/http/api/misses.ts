import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { Context } from '../../change/context.ts'
import { acceptMisses, missesOf } from '../../change/misses.ts'
import { parseRequest } from './body.ts'

const acceptBody = z.strictObject({ paths: z.array(z.string().max(4096)).min(1).max(10_000).optional() })

interface OfBlueprint {
  readonly Params: { readonly name: string }
}

/** What running nodes missed of a blueprint's stack, and taking it in. */
export function missApiRoutes(app: FastifyInstance, context: Context): void {
  app.get<OfBlueprint>('/v1/blueprints/:name/misses', ({ params: { name } }) => missesOf(context, name))

  app.post<OfBlueprint>('/v1/blueprints/:name/misses/accept', async ({ params: { name }, body }) => ({
    accepted: await acceptMisses(context, name, parseRequest(acceptBody, body).paths),
  }))
}
