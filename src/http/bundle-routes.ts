import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { BootloomError } from '../config/errors.ts'
import type { Body } from '../fleet/bundles.ts'
import { parseMac } from '../fleet/mac.ts'
import { parseDigest } from '../store/digest.ts'
import type { NodeContext } from './node-context.ts'
import { parseRange } from './range.ts'
import { queryValue } from './request.ts'
import { sendBody } from './send-body.ts'

/**
 * A bundle's kernel and initramfs by the bundle's digest: what is under such an address never changes. `mac` and `boot`
 * in the query only say in whose timeline the transfer belongs. Never a redirect: it breaks UEFI HTTP Boot.
 */
export function bundleRoutes(app: FastifyInstance, context: NodeContext): void {
  for (const stage of ['kernel', 'initramfs'] as const) {
    app.get<{ Params: { digest: string } }>(`/bundle/:digest/${stage}`, async (request, reply) => {
      const digest = parseDigest(request.params.digest)
      const bundle = await context.bundles.get(digest)
      if (bundle[stage].size === 0) throw new BootloomError('ROUTE_UNKNOWN', 'this bundle has no initramfs')
      const last = bundle.config.level === 'foreign' && stage === (bundle.initramfs.size > 0 ? 'initramfs' : 'kernel')
      return serve(request, reply, bundle[stage], { etag: `"${digest}"`, stage, last })
    })
  }

  async function serve(
    request: FastifyRequest,
    reply: FastifyReply,
    body: Body,
    { etag, ...what }: What & { readonly etag: string },
  ): Promise<FastifyReply> {
    const { headers } = request
    reply.headers({
      etag,
      'accept-ranges': 'bytes',
      'cache-control': 'public, max-age=31536000, immutable',
      'content-type': 'application/octet-stream',
    })
    if (matches(headers['if-none-match'], etag)) return reply.code(304).send()
    // If-Range with another tag, or with a date, which nothing here has: the whole (RFC 9110 §13.1.5).
    const wanted = headers['if-range'] === undefined || headers['if-range'] === etag ? headers.range : undefined
    const range = request.method === 'HEAD' ? undefined : parseRange(wanted, body.size)
    if (range === 'unsatisfiable') {
      return reply.code(416).header('content-range', `bytes */${body.size}`).header('cache-control', 'no-store').send()
    }
    const { start, end } = range ?? { start: 0, end: body.size - 1 }
    reply.header('content-length', end - start + 1)
    if (range) reply.code(206).header('content-range', `bytes ${start}-${end}/${body.size}`)
    if (request.method === 'HEAD') {
      // Past fastify, which would give the length of the body that it sees, none (OVMF asks HEAD first).
      reply
        .hijack()
        .raw.writeHead(200, reply.getHeaders() as Record<string, string>)
        .end()
      return reply
    }
    // A damaged first blob is an error that can still be told; later ones can only cut the connection.
    const first = body.parts.find((part) => part.start + part.size > start)!
    await context.hot.get(first.digest, first.size)
    await transfer(request, reply, body, { start, end }, what)
    return reply
  }

  async function transfer(
    request: FastifyRequest,
    reply: FastifyReply,
    body: Body,
    range: { start: number; end: number },
    { stage, last }: What,
  ): Promise<void> {
    const began = Date.now()
    const boot = bootNamed(request)
    const transfer = context.delivery.open(request.ip)
    const moving = () => boot && context.admission?.moving(boot.mac, Date.now())
    reply.hijack()
    reply.raw.writeHead(reply.statusCode, reply.getHeaders() as Record<string, string>)
    try {
      const bytes = await sendBody(reply.raw, body, range, { ...context, transfer, moving })
      if (!boot) return
      context.boots.transfer(boot.mac, boot.id, { stage, bytes, took: Date.now() - began })
      if (!last || range.end !== body.size - 1) return
      context.boots.delivered(boot.mac, boot.id)
      context.admission?.done(boot.mac, Date.now())
    } catch (error) {
      context.refusals.add('READER_CUT', request.ip, {
        url: request.url.slice(0, 200),
        reason: (error as Error).message,
      })
      reply.raw.destroy()
    }
  }
}

interface What {
  readonly stage: 'kernel' | 'initramfs'
  /** Nothing follows that this server would see: the boot is delivered with it. */
  readonly last: boolean
}

/** In whose timeline the transfer belongs. Whoever writes a wrong MAC there gets the bytes all the same. */
function bootNamed(request: FastifyRequest): { mac: string; id: string } | undefined {
  const [mac, id] = [queryValue(request, 'mac'), queryValue(request, 'boot')]
  if (!mac || !id) return undefined
  try {
    return { mac: parseMac(mac), id }
  } catch {
    return undefined
  }
}

/** If-None-Match compares weakly: a tag with W/ names the same bytes (RFC 9110 §13.1.2). */
function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  return header.split(',').some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === etag)
}
