import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { renderOverlay } from '../compose/overlay.ts'
import { BootloomError } from '../config/errors.ts'
import { isDigest } from '../store/digest.ts'
import { requireHolder } from './holder.ts'
import type { NodeContext } from './node-context.ts'
import { macOf, queryValue, requiredQuery } from './request.ts'

const stages = z.enum(['jump', 'no-jump', 'init', 'network', 'app', 'ready', 'failed'])

/** Bytes of a report's text. */
const maxReport = 16 * 1024

/** What belongs to one boot of one node: its overlay, and what it says of itself. Both need the id of that boot. */
export function reportRoutes(app: FastifyInstance, context: NodeContext): void {
  const { boots, bundles, assignments, server } = context

  app.get('/overlay', async (request, reply) => {
    const mac = macOf(request)
    const boot = await boots.expect(mac, requiredQuery(request, 'boot'))
    await requireHolder(context, mac, request.ip)
    if (boot.bundle === undefined || !isDigest(boot.bundle)) {
      throw new BootloomError('BOOT_NOT_CURRENT', `${mac} was given no bundle in this boot`)
    }
    const { config } = await bundles.get(boot.bundle)
    if (config.level === 'foreign') throw new BootloomError('BOOT_NOT_CURRENT', 'a foreign bundle takes no overlay')
    const { hostname } = await assignments.resolve(mac)
    const node = hostname === undefined ? { mac } : { mac, hostname }
    const overlay = renderOverlay({ manifestDigest: boot.bundle, config, node, server: server(), bootId: boot.id })
    if (request.method !== 'HEAD') {
      boots.transfer(mac, boot.id, { stage: 'overlay', bytes: overlay.length })
      // It is the last thing that a node loads.
      context.admission?.done(mac, Date.now())
    }
    return reply.type('application/octet-stream').header('cache-control', 'no-store').send(overlay)
  })

  // busybox wget calls every body a form; it is lines of text.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string', bodyLimit: maxReport }, (_request, body, done) => done(null, body))

  app.post('/report', { bodyLimit: maxReport }, async (request, reply) => {
    const mac = macOf(request)
    const stage = stages.safeParse(queryValue(request, 'stage'))
    if (!stage.success) throw new BootloomError('USAGE', `stage= must be one of ${stages.options.join(', ')}`)
    const boot = requiredQuery(request, 'boot')
    await boots.expect(mac, boot)
    await requireHolder(context, mac, request.ip)
    await boots.report(mac, boot, {
      stage: stage.data,
      text: printable(typeof request.body === 'string' ? request.body : ''),
      ...measured('uptime', queryValue(request, 'uptime'), 1),
      ...measured('memTotal', queryValue(request, 'memtotal'), 1024),
      ...measured('memAvailable', queryValue(request, 'memavailable'), 1024),
    })
    return reply.type('text/plain').send('ok\n')
  })
}

/** A number that the node measured, times the unit; nothing where it is none. */
function measured<K extends string>(name: K, text: string | undefined, unit: number): { [name in K]?: number } {
  const value = /^\d{1,12}(\.\d{1,6})?$/.test(text ?? '') ? Number(text) * unit : undefined
  return value === undefined ? {} : ({ [name]: value } as { [name in K]?: number })
}

/** Reports are shown on terminals: nothing in them may steer one. */
const printable = (text: string): string => text.replace(/\r\n?/g, '\n').replace(/[^\n\t\x20-\x7e\u00a0-\uffff]/g, '?')
