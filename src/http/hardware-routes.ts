import type { FastifyInstance } from 'fastify'
import { parseModaliases } from '../fleet/devices.ts'
import { addEvent } from '../state/events.ts'
import { putHardware } from '../state/hardware.ts'
import { requireHolder } from './holder.ts'
import type { NodeContext } from './node-context.ts'
import { macOf, requiredQuery } from './request.ts'

/** Bytes; boot/hardware.sh sends less. */
const maxHardware = 128 * 1024

/** The devices of a node, told once in each boot. */
export function hardwareRoutes(app: FastifyInstance, context: NodeContext): void {
  const { boots } = context
  const { redis } = context.state

  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string', bodyLimit: maxHardware }, (_request, body, done) =>
    done(null, body),
  )

  app.post('/hardware', { bodyLimit: maxHardware }, async (request, reply) => {
    const mac = macOf(request)
    await boots.expect(mac, requiredQuery(request, 'boot'))
    await requireHolder(context, mac, request.ip)
    const modaliases = parseModaliases(typeof request.body === 'string' ? request.body : '')
    if (modaliases.length > 0 && (await putHardware(redis, mac, modaliases))) {
      await addEvent(redis, { event: 'node-hardware', mac, devices: modaliases.length })
    }
    return reply.type('text/plain').send('ok\n')
  })
}
