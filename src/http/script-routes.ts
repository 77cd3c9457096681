import type { FastifyInstance, FastifyReply } from 'fastify'
import { bootArguments } from '../compose/boot-arguments.ts'
import type { BootAnswer } from '../fleet/assignment.ts'
import type { NodeContext } from './node-context.ts'
import { identityOf, macOf } from './request.ts'
import { requestError } from './request-error.ts'
import { bootScript, chainScript, errorScript, localScript, notReadyScript, unassignedScript } from './scripts.ts'

/**
 * iPXE scripts. Whatever goes wrong, the answer is a script with status 200, since iPXE shows nothing of other answers:
 * it says on the node's screen what is wrong and asks again. The error's code is also in a header, for curl.
 */
export function scriptRoutes(app: FastifyInstance, context: NodeContext): void {
  const { templates, server, assignments, boots, log } = context

  app.get('/boot.ipxe', (_request, reply) => script(reply, chainScript(templates, server())))

  app.get('/ipxe', async (request, reply) => {
    const mac = macOf(request)
    const answer = await assignments.resolve(mac)
    return script(reply, await scriptFor(mac, answer, identityOf(request)))
  })

  app.setErrorHandler((error, request, reply) => {
    const typed = requestError(error)
    log.error({ event: 'script-failed', url: request.url.slice(0, 200), code: typed.code, reason: typed.message })
    try {
      boots.script(macOf(request), 'error', { detail: typed.code })
    } catch {
      // It did not say who it is: no timeline is its own.
    }
    return script(reply.header('x-bootloom-error', typed.code), errorScript(templates, server(), typed))
  })

  async function scriptFor(mac: string, answer: BootAnswer, identity: { uuid?: string; serial?: string }) {
    switch (answer.action) {
      case 'boot':
        return bootFrom(mac, answer, identity)
      case 'not-ready': {
        const { blueprint, channel, action } = answer
        boots.script(mac, action, { blueprint }, identity)
        return notReadyScript(templates, { server: server(), mac, blueprint, channel })
      }
      case 'local':
        boots.script(mac, 'local', {}, identity)
        return localScript(templates, mac)
      case 'unassigned':
        boots.script(mac, 'unassigned', {}, identity)
        return unassignedScript(templates, server(), mac)
    }
  }

  async function bootFrom(
    mac: string,
    { blueprint, bundle: digest }: Extract<BootAnswer, { action: 'boot' }>,
    identity: { uuid?: string; serial?: string },
  ) {
    const bundle = await context.bundles.get(digest)
    const boot = boots.script(mac, 'boot', { blueprint, bundle: digest }, identity)
    const named = { server: server(), mac, boot: boot.id, bundle: digest }
    return bootScript(templates, {
      ...named,
      blueprint,
      cmdline: `${bundle.config.cmdline} ${bootArguments(named)}`.trim(),
      kernelBytes: bundle.kernel.size,
      initramfsBytes: bundle.initramfs.size,
    })
  }
}

function script(reply: FastifyReply, text: string): FastifyReply {
  return reply.type('text/plain; charset=utf-8').header('cache-control', 'no-store').send(text)
}
