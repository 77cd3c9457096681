import type { FastifyInstance } from 'fastify'
import { BootloomError } from '../config/errors.ts'
import { Learning, parseLearned } from '../fleet/learned.ts'
import { type Boot, bootsOf, byKexec } from '../state/boots.ts'
import { isDigest } from '../store/digest.ts'
import { requireHolder } from './holder.ts'
import type { NodeContext } from './node-context.ts'
import { macOf, requiredQuery } from './request.ts'

/** Bytes of a report: what the buffer in boot/native/learn.c holds. */
const maxReport = 64 * 1024

/** What a node that learns tells of the files that it touches; needs the id of its boot, from the address that it holds. */
export function learnRoutes(app: FastifyInstance, context: NodeContext): void {
  const { boots, bundles, state, store } = context
  const learning = new Learning(state.redis, store)

  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string', bodyLimit: maxReport }, (_request, body, done) => done(null, body))

  app.post('/learned', { bodyLimit: maxReport }, async (request, reply) => {
    const mac = macOf(request)
    const boot = await bootOf(mac, requiredQuery(request, 'boot'))
    await requireHolder(context, mac, request.ip)
    const { config } = isDigest(boot.bundle ?? '') ? await bundles.get(boot.bundle as `sha256:${string}`) : {}
    if (!config || config.level === 'foreign') {
      throw new BootloomError('LEARNING_OVER', `nobody learns from this boot of ${mac}`, { where: mac })
    }
    await learning.record(boot, config, parseLearned(typeof request.body === 'string' ? request.body : ''))
    return reply.type('text/plain').send('ok\n')
  })

  /** The boot under way; until that runs, also the one that a node jumps from: its services are at their stop. */
  async function bootOf(mac: string, id: string): Promise<Boot> {
    try {
      return await boots.expect(mac, id)
    } catch (error) {
      const [jump, before] = await bootsOf(state.redis, mac, 2)
      if (before?.id !== id || !byKexec(jump!) || jump!.stages.some(({ stage }) => stage === 'init')) throw error
      return before
    }
  }
}
