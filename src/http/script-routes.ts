import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { bootArguments, foreignCommandLine } from '../compose/boot-arguments.ts'
import type { Wait } from '../fleet/admission.ts'
import type { BootAnswer } from '../fleet/assignment.ts'
import { isIdentified } from '../state/nodes.ts'
import { requireHolder } from './holder.ts'
import type { NodeContext } from './node-context.ts'
import { identityOf, macOf, queryValue } from './request.ts'
import { requestError } from './request-error.ts'
import {
  bootScript,
  chainScript,
  errorScript,
  foreignScript,
  localScript,
  notReadyScript,
  unassignedScript,
  waitingScript,
} from './scripts.ts'

/**
 * iPXE scripts. Whatever goes wrong, the answer is a script with status 200, since iPXE shows nothing of other answers:
 * it says on the node's screen what is wrong and asks again. The error's code is also in a header, for curl.
 */
export function scriptRoutes(app: FastifyInstance, context: NodeContext): void {
  const { templates, server, assignments, boots, refusals, admission } = context

  /** Where every node begins. One that has said who it is has its script at once, if it names its MAC. */
  app.get('/boot.ipxe', async (request, reply) => {
    const named = queryValue(request, 'mac') !== undefined
    // While Redis is away nobody is asked what could not be kept.
    const direct = named && (await isIdentified(context.state.redis, macOf(request)).catch(() => true))
    return direct ? scriptOf(request, reply) : script(reply, chainScript(templates, server()))
  })

  app.get('/ipxe', scriptOf)

  async function scriptOf(request: FastifyRequest, reply: FastifyReply) {
    const mac = macOf(request)
    await requireHolder(context, mac, request.ip)
    const answer = await assignments.resolve(mac)
    const cache = queryValue(request, 'direct') === undefined ? context.caches(request.ip) : undefined
    return script(reply, await scriptFor(mac, answer, identityOf(request), cache))
  }

  app.setErrorHandler((error, request, reply) => {
    const typed = requestError(error)
    refusals.add(typed.code, request.ip, { url: request.url.slice(0, 200), reason: typed.message })
    try {
      // Who asks in another's name leaves no trace in the other's timeline.
      if (typed.code !== 'NODE_NOT_YOU') boots.script(macOf(request), 'error', { detail: typed.code })
    } catch {
      // It did not say who it is: no timeline is its own.
    }
    return script(reply.header('x-bootloom-error', typed.code), errorScript(templates, server(), typed))
  })

  async function scriptFor(mac: string, answer: BootAnswer, identity: Identity, cache: string | undefined) {
    switch (answer.action) {
      case 'boot': {
        // What a rack cache sends does not burden this server.
        const wait = cache === undefined ? admission?.ask(mac, Date.now()) : undefined
        return wait ? waitFor(mac, answer, identity, wait) : bootFrom(mac, answer, identity, cache)
      }
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

  function waitFor(mac: string, { blueprint }: ToBoot, identity: Identity, wait: Wait): string {
    boots.script(mac, 'waiting', { blueprint }, identity)
    return waitingScript(templates, { server: server(), mac, blueprint }, wait)
  }

  async function bootFrom(mac: string, answer: ToBoot, identity: Identity, cache: string | undefined) {
    const { blueprint, bundle: digest, gaveUp } = answer
    const bundle = await context.bundles.get(digest)
    const boot = boots.script(mac, 'boot', { blueprint, bundle: digest, gaveUp }, identity)
    const sizes = { kernelBytes: bundle.kernel.size, initramfsBytes: bundle.initramfs.size }
    const named = { server: server(), mac, boot: boot.id, bundle: digest }
    const { deadline } = boots
    const common = { ...named, ...sizes, files: cache ?? server(), blueprint }
    const { config } = bundle
    if (config.level === 'foreign') {
      const values = { mac, server: server(), hostname: answer.hostname }
      return foreignScript(templates, { ...common, cmdline: foreignCommandLine(config.cmdline, values) })
    }
    return bootScript(templates, {
      ...common,
      cmdline: `${config.cmdline} ${bootArguments({ ...named, deadline })}`.trim(),
    })
  }
}

type ToBoot = Extract<BootAnswer, { action: 'boot' }>
type Identity = ReturnType<typeof identityOf>

function script(reply: FastifyReply, text: string): FastifyReply {
  return reply.type('text/plain; charset=utf-8').header('cache-control', 'no-store').send(text)
}
