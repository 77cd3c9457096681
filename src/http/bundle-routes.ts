import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { parseMac } from '../fleet/mac.ts'
import { parseDigest } from '../store/digest.ts'
import type { Body } from './bundles.ts'
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
      return serve(request, reply, bundle[stage], `"${digest}"`, stage)
    })
  }

  async function serve(
    request: FastifyRequest,
    reply: FastifyReply,
    body: Body,
    etag: string,
    stage: 'kernel' | 'initramfs',
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
    await transfer(request, reply, body, { start, end }, stage)
    return reply
  }

  async function transfer(
    request: FastifyRequest,
    reply: FastifyReply,
    body: Body,
    range: { start: number; end: number },
    stage: 'kernel' | 'initramfs',
  ): Promise<void> {
    const began = Date.now()
    reply.hijack()
    reply.raw.writeHead(reply.statusCode, reply.getHeaders() as Record<string, string>)
    try {
      const bytes = await sendBody(reply.raw, body, range, context)
      record(request, { stage, bytes, took: Date.now() - began })
    } catch (error) {
      context.log.warn({ event: 'transfer-cut', url: request.url.slice(0, 200), reason: (error as Error).message })
      reply.raw.destroy()
    }
  }

  function record(request: FastifyRequest, details: { stage: 'kernel' | 'initramfs'; bytes: number; took: number }) {
    const [mac, boot] = [queryValue(request, 'mac'), queryValue(request, 'boot')]
    if (!mac || !boot) return
    try {
      context.boots.transfer(parseMac(mac), boot, details)
    } catch {
      // Whoever writes a wrong MAC there has got the bytes all the same.
    }
  }
}

/** If-None-Match compares weakly: a tag with W/ names the same bytes (RFC 9110 §13.1.2). */
function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  return header.split(',').some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === etag)
}
