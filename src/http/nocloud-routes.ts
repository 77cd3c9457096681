import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { BootloomError } from '../config/errors.ts'
import { parseMac } from '../fleet/mac.ts'
import { getNode, listSightings } from '../state/nodes.ts'
import { userDataFor } from '../state/user-data.ts'
import { requireHolder } from './holder.ts'
import type { NodeContext } from './node-context.ts'

interface OfSeed {
  readonly Params: { readonly id: string }
}

/**
 * cloud-init's NoCloud seed, for `ds=nocloud;s=http://SERVER/nocloud/ID/` (cloud-init, "NoCloud"). The id is the MAC or
 * the SMBIOS UUID. As with the overlay, a node gets its own and no other's.
 */
export function noCloudRoutes(app: FastifyInstance, context: NodeContext): void {
  const { redis } = context.state

  app.get<OfSeed>('/nocloud/:id/meta-data', async (request, reply) => {
    const { mac, node } = await nodeOf(request)
    const named = node?.hostname === undefined ? '' : `local-hostname: ${node.hostname}\n`
    return text(reply, `instance-id: ${mac.replaceAll(':', '-')}\n${named}`)
  })

  app.get<OfSeed>('/nocloud/:id/user-data', async (request, reply) => {
    const { mac, node } = await nodeOf(request)
    return text(reply, (await userDataFor(redis, mac, node?.groups ?? [])) ?? '#cloud-config\n{}\n')
  })

  app.get<OfSeed>('/nocloud/:id/vendor-data', async (request, reply) => {
    await nodeOf(request)
    return text(reply, '')
  })

  app.get<OfSeed>('/nocloud/:id/network-config', async (request, reply) => {
    const { mac } = await nodeOf(request)
    return text(reply, `version: 2\nethernets:\n  boot:\n    match:\n      macaddress: "${mac}"\n    dhcp4: true\n`)
  })

  async function nodeOf(request: FastifyRequest<OfSeed>) {
    const mac = await macNamed(request.params.id)
    await requireHolder(context, mac, request.ip)
    return { mac, node: await getNode(redis, mac) }
  }

  async function macNamed(id: string): Promise<string> {
    const uuid = id.toLowerCase()
    if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid)) return parseMac(id)
    for (const [mac, seen] of await listSightings(redis)) if (seen.uuid === uuid) return mac
    throw new BootloomError('NODE_UNKNOWN', 'no node with this UUID was seen', { where: uuid })
  }
}

const text = (reply: FastifyReply, body: string): FastifyReply =>
  reply.type('text/plain; charset=utf-8').header('cache-control', 'no-store').send(body)
