import type { FastifyInstance, FastifyRequest } from 'fastify'
import { BootloomError } from '../config/errors.ts'
import { getNode } from '../state/nodes.ts'
import { userDataFor } from '../state/user-data.ts'
import { requireHolder } from './holder.ts'
import type { NodeContext } from './node-context.ts'
import { identityOf, macOf } from './request.ts'

/**
 * What Matchbox's clients ask besides /boot.ipxe and /ipxe, which are ours alike (matchbox, docs/api-http.md).
 * /generic and /ignition give the node's user data as the admin wrote it.
 */
export function matchboxRoutes(app: FastifyInstance, context: NodeContext): void {
  const { redis } = context.state

  app.get('/metadata', async (request, reply) => {
    const mac = macOf(request)
    await requireHolder(context, mac, request.ip)
    const [node, answer] = await Promise.all([getNode(redis, mac), context.assignments.resolve(mac)])
    const assigned = 'blueprint' in answer ? answer : undefined
    const values = {
      MAC: mac,
      UUID: identityOf(request).uuid,
      HOSTNAME: node?.hostname,
      GROUPS: node?.groups.join(','),
      BLUEPRINT: assigned?.blueprint,
      BUNDLE: assigned?.action === 'boot' ? assigned.bundle : undefined,
      CHANNEL: assigned?.channel,
      REQUEST_QUERY_MAC: mac,
    }
    const lines = Object.entries(values).flatMap(([name, value]) => (value ? [`${name}=${value}\n`] : []))
    return reply.type('text/plain; charset=utf-8').header('cache-control', 'no-store').send(lines.join(''))
  })

  app.get('/generic', async (request, reply) => {
    const data = await dataOf(request)
    return reply.type('text/plain; charset=utf-8').header('cache-control', 'no-store').send(data)
  })

  app.get('/ignition', async (request, reply) => {
    const data = await dataOf(request)
    return reply.type('application/vnd.coreos.ignition+json').header('cache-control', 'no-store').send(data)
  })

  async function dataOf(request: FastifyRequest): Promise<string> {
    const mac = macOf(request)
    await requireHolder(context, mac, request.ip)
    const node = await getNode(redis, mac)
    const data = await userDataFor(redis, mac, node?.groups ?? [])
    if (data !== undefined) return data
    throw new BootloomError('USER_DATA_MISSING', `${mac} has no user data`, { where: mac })
  }
}
