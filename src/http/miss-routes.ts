import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { BundleConfig } from '../compose/bundle-format.ts'
import { BootloomError } from '../config/errors.ts'
import { Misses, parseMissReport } from '../fleet/misses.ts'
import type { Boot } from '../state/boots.ts'
import { isDigest, parseDigest } from '../store/digest.ts'
import { requireHolder } from './holder.ts'
import type { NodeContext } from './node-context.ts'
import { macOf, requiredQuery } from './request.ts'
import { sendBody } from './send-body.ts'

/** Bytes of a report: what the buffer in boot/native/reports.c holds. */
const maxReport = 32 * 1024

/**
 * What a running node lacks: it tells of it, and where its blueprint says so, fetches it. Both need the id of its boot,
 * from the address that the node holds; and no blob is given out but those that its own bundle lacks.
 */
export function missRoutes(app: FastifyInstance, context: NodeContext): void {
  const { boots, bundles, state, store, log } = context
  const misses = new Misses(state.redis, store, log)

  async function bootOf(request: FastifyRequest): Promise<{ boot: Boot; config: BundleConfig }> {
    const mac = macOf(request)
    const boot = await boots.expect(mac, requiredQuery(request, 'boot'))
    await requireHolder(context, mac, request.ip)
    const { config } = isDigest(boot.bundle ?? '') ? await bundles.get(parseDigest(boot.bundle!)) : {}
    if (!config || config.level === 'foreign') {
      throw new BootloomError('BOOT_NOT_CURRENT', `${mac} was given no bundle of ours in this boot`)
    }
    return { boot, config }
  }

  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string', bodyLimit: maxReport }, (_request, body, done) => done(null, body))

  app.post('/misses', { bodyLimit: maxReport }, async (request, reply) => {
    const { boot, config } = await bootOf(request)
    const told = parseMissReport(typeof request.body === 'string' ? request.body : '')
    await misses.record(boot, config, told)
    const { lost } = request.query as { lost?: unknown }
    // Of reports before this one that were refused, for which the node could not know a better answer.
    if (typeof lost === 'string' && /^[1-9]\d{0,8}$/.test(lost)) {
      log.warn({ event: 'misses-lost', mac: boot.mac, boot: boot.id, count: Number(lost) })
    }
    return reply.type('text/plain').send('ok\n')
  })

  app.get<{ Params: { digest: string } }>('/blob/:digest', { exposeHeadRoute: false }, async (request, reply) => {
    const digest = parseDigest(request.params.digest)
    const { config } = await bootOf(request)
    const size = config.misses?.onMiss === 'fetch' ? await sizeOf(config, digest) : undefined
    if (size === undefined) throw new BootloomError('BLOB_NOT_LACKING', `${config.blueprint} does not lack ${digest}`)
    const part = { digest, size, start: 0 }
    await context.hot.get(part.digest, part.size)
    const transfer = context.delivery.open(request.ip)
    reply.hijack()
    reply.raw.writeHead(200, {
      'content-type': 'application/octet-stream',
      'content-length': size,
      'cache-control': 'no-store',
    })
    try {
      await sendBody(reply.raw, { parts: [part], size }, { start: 0, end: size - 1 }, { ...context, transfer })
    } catch (error) {
      const { message: reason } = error as Error
      context.refusals.add('READER_CUT', request.ip, { url: request.url.slice(0, 200), reason })
      reply.raw.destroy()
    }
    return reply
  })

  async function sizeOf(config: BundleConfig, digest: string): Promise<number | undefined> {
    for (const file of (await misses.absentOf(config)).values()) if (file.digest === digest) return file.size
    return undefined
  }
}
