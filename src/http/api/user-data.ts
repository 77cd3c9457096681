import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { parseMac } from '../../fleet/mac.ts'
import { putUserData } from '../../state/user-data.ts'
import type { ApiContext } from '../api-server.ts'
import { parseRequest } from './body.ts'

/** Empty takes it away. */
const body = z.strictObject({ userData: z.string().max(512 * 1024) })
const groupName = z.object({ name: z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/) })

/** User data is set and never read back here: it may hold secrets. */
export function userDataRoutes(app: FastifyInstance, { state: { redis } }: ApiContext): void {
  app.put<{ Params: { mac: string } }>('/v1/nodes/:mac/user-data', async ({ params, body: asked }) => {
    const mac = parseMac(params.mac)
    const { userData } = parseRequest(body, asked)
    await putUserData(redis, { node: mac }, userData)
    return { mac, bytes: Buffer.byteLength(userData) }
  })

  app.put('/v1/groups/:name/user-data', async ({ params, body: asked }) => {
    const { name } = parseRequest(groupName, params)
    const { userData } = parseRequest(body, asked)
    await putUserData(redis, { group: name }, userData)
    return { name, bytes: Buffer.byteLength(userData) }
  })
}
