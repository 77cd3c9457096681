import type { FastifyInstance } from 'fastify'
import { bootArguments, foreignCommandLine } from '../compose/boot-arguments.ts'
import { BootloomError } from '../config/errors.ts'
import { parseMac } from '../fleet/mac.ts'
import { requireHolder } from './holder.ts'
import type { NodeContext } from './node-context.ts'

/**
 * Pixiecore's API mode (netboot, pixiecore/README.api.md): what a MAC boots, as JSON. Any answer but 200 makes Pixiecore
 * leave the machine alone, which is what a node without a bundle wants, and one that waits for its turn: its firmware
 * asks again by DHCP. Pixiecore itself fetches the files.
 */
export function pixiecoreRoutes(app: FastifyInstance, context: NodeContext): void {
  app.get<{ Params: { mac: string } }>('/v1/boot/:mac', async (request, reply) => {
    const mac = parseMac(request.params.mac)
    await requireHolder(context, mac, request.ip)
    const answer = await context.assignments.resolve(mac)
    if (answer.action !== 'boot') {
      throw new BootloomError('NODE_UNKNOWN', `${mac} has nothing to boot: ${answer.action}`, { where: mac })
    }
    const { blueprint, bundle: digest, hostname, gaveUp } = answer
    const wait = context.admission?.ask(mac, Date.now())
    if (wait) {
      context.boots.script(mac, 'waiting', { blueprint })
      reply.header('retry-after', wait.seconds)
      throw new BootloomError('NODE_WAITS', `${mac} is at place ${wait.place} of ${wait.of} in the queue`, {
        where: mac,
      })
    }
    const { config, initramfs } = await context.bundles.get(digest)
    const boot = context.boots.script(mac, 'boot', { blueprint, bundle: digest, gaveUp })
    const server = context.server()
    const of = `mac=${mac}&boot=${boot.id}`
    const file = (name: string) => `${server}/bundle/${digest}/${name}?${of}`
    const foreign = config.level === 'foreign'
    const { deadline } = context.boots
    const ownInitrds = foreign ? [] : [`${server}/overlay?${of}`]
    const cmdline = foreign
      ? foreignCommandLine(config.cmdline, { mac, server, hostname })
      : `${config.cmdline} ${bootArguments({ server, mac, boot: boot.id, bundle: digest, deadline })}`
    return reply.header('cache-control', 'no-store').send({
      kernel: file('kernel'),
      initrd: [...(initramfs.size > 0 ? [file('initramfs')] : []), ...ownInitrds],
      cmdline: cmdline.trim(),
      message: `Bootloom: ${mac} boots ${blueprint}`,
    })
  })
}
