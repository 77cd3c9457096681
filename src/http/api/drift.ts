import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { BootloomError } from '../../config/errors.ts'
import { bundleForDrift, driftOf, parseInventory } from '../../fleet/drift.ts'
import { parseMac } from '../../fleet/mac.ts'
import { isHeard, orderNode } from '../../fleet/reboot.ts'
import { getInventory, getOrder } from '../../state/orders.ts'
import { getRun } from '../../state/tries.ts'
import type { ApiContext } from '../api-server.ts'

/** Milliseconds that a node has to hash its root, once it was told. */
const patience = 120_000

/** Asks a running node what stands in its root, and compares it with its bundle. NODE_SILENT, ORDER_UNKNOWN. */
export function driftRoutes(app: FastifyInstance, { state: { redis }, store, settings }: ApiContext): void {
  const { heartbeat } = settings.fleet

  app.post<{ Params: { mac: string } }>('/v1/nodes/:mac/drift', async ({ params }) => {
    const mac = parseMac(params.mac)
    const run = await getRun(redis, mac)
    const heard = run && (await isHeard(redis, mac, heartbeat))
    const bundle = heard && (await bundleForDrift(store, run.bundle))
    if (!bundle) throw new BootloomError('NODE_SILENT', `${mac} does not ask for orders`, { where: mac })
    const standing = await getOrder(redis, mac)
    if (standing?.boot === run.boot && standing.do !== 'drift') {
      throw new BootloomError('NODE_SILENT', `${mac} is about to boot anew`, { where: mac, hint: 'Ask again then.' })
    }
    const order = await orderNode(redis, mac, 'drift')
    const text = order && (await answerOf(order.id))
    if (text === undefined) throw new BootloomError('NODE_SILENT', `${mac} does not answer`, { where: mac })
    return {
      mac,
      bundle: run.bundle,
      blueprint: run.blueprint,
      drift: await driftOf(store, bundle, parseInventory(text)),
    }
  })

  async function answerOf(order: string): Promise<string | undefined> {
    const deadline = Date.now() + heartbeat * 1250 + patience
    while (Date.now() < deadline) {
      const text = await getInventory(redis, order)
      if (text !== undefined) return text
      await sleep(100)
    }
    return undefined
  }
}
