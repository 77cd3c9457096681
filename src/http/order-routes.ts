import type { FastifyInstance, FastifyRequest } from 'fastify'
import { bootArguments } from '../compose/boot-arguments.ts'
import type { BundleConfig } from '../compose/bundle-format.ts'
import { BootloomError } from '../config/errors.ts'
import { Recipes } from '../fleet/recipes.ts'
import { askOrder, getOrder, putInventory, removeOrder } from '../state/orders.ts'
import { getRun } from '../state/tries.ts'
import { hexOf, isDigest } from '../store/digest.ts'
import { requireHolder } from './holder.ts'
import type { NodeContext } from './node-context.ts'
import { macOf, requiredQuery } from './request.ts'

/** Bytes of a node's account of its root: some 60,000 paths. */
const maxInventory = 9 * 1024 * 1024

/**
 * What a running node asks and tells (boot/native/agent.c), with the id of its boot and from the address that it holds,
 * as its reports. An answer is lines of a name, `=` and a value.
 */
export function orderRoutes(app: FastifyInstance, context: NodeContext): void {
  const { boots, bundles, assignments, server, heartbeat } = context
  const { redis } = context.state
  const recipes = new Recipes(context.store)

  app.get('/orders', async (request, reply) => {
    const { order } = await orderOf(request)
    const lines = { wait: heartbeat, ...(order ? { order: order.id, do: order.do } : {}) }
    return reply.header('cache-control', 'no-store').type('text/plain').send(linesOf(lines))
  })

  /** The node's next boot, which begins with the question: what it is to load, and the command line to enter it with. */
  app.get('/kexec', async (request, reply) => {
    const { mac } = await orderOf(request)
    const answer = await assignments.resolve(mac)
    if (answer.action !== 'boot') throw new BootloomError('KEXEC_UNFIT', `${mac} is not given a bundle`)
    const { blueprint, bundle, gaveUp } = answer
    const { config, kernel, initramfs } = await bundles.get(bundle)
    if (config.level === 'foreign' || !entersByKexec(config)) {
      throw new BootloomError('KEXEC_UNFIT', `${blueprint} is not entered by kexec`, { where: bundle })
    }
    // The next boot goes on with this lease.
    const { id: boot } = boots.script(mac, 'kexec', { blueprint, bundle, gaveUp, address: request.ip })
    const named = bootArguments({ server: server(), mac, boot, bundle, deadline: boots.deadline })
    const lines = {
      boot,
      kernel: `/bundle/${bundle}/kernel`,
      'kernel-size': kernel.size,
      'kernel-digest': hexOf(kernel.parts[0]!.digest),
      initramfs: `/bundle/${bundle}/initramfs`,
      'initramfs-size': initramfs.size,
      overlay: '/overlay',
      recipe: '/kexec/recipe',
      cmdline: `${config.cmdline} ${named}`.trim(),
    }
    return reply.header('cache-control', 'no-store').type('text/plain').send(linesOf(lines))
  })

  /** In the boot that it began: what the node may make out of its own root. Nothing where it runs something else. */
  app.get('/kexec/recipe', async (request, reply) => {
    const mac = macOf(request)
    const { bundle } = await boots.expect(mac, requiredQuery(request, 'boot'))
    await requireHolder(context, mac, request.ip)
    const configs = await Promise.all([configOf(bundle), getRun(redis, mac).then((run) => configOf(run?.bundle))])
    const [next, running] = configs
    const recipe = next && running ? await recipes.of(next, running) : ''
    return reply.header('cache-control', 'no-store').type('text/plain').send(recipe)
  })

  async function configOf(bundle: string | undefined): Promise<BundleConfig | undefined> {
    if (bundle === undefined || !isDigest(bundle)) return undefined
    // One that the node runs may be gone from the store.
    const found = await bundles.get(bundle).catch(() => undefined)
    return found?.config.level === 'foreign' ? undefined : found?.config
  }

  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string', bodyLimit: maxInventory }, (_request, body, done) =>
    done(null, body),
  )

  for (const [path, asked] of [
    ['/drift', 'drift'],
    ['/weight', 'weigh'],
  ] as const) {
    app.post(path, { bodyLimit: maxInventory }, async (request, reply) => {
      const { mac } = await orderOf(request)
      const id = requiredQuery(request, 'order')
      const order = await getOrder(redis, mac)
      if (order?.id !== id || order.do !== asked) throw new BootloomError('ORDER_UNKNOWN', `${mac} was not asked that`)
      await putInventory(redis, id, typeof request.body === 'string' ? request.body : '')
      await removeOrder(redis, mac)
      return reply.type('text/plain').send('ok\n')
    })
  }

  async function orderOf(request: FastifyRequest) {
    const mac = macOf(request)
    const boot = requiredQuery(request, 'boot')
    await requireHolder(context, mac, request.ip)
    const known = boots.underWay(mac)?.id === boot
    const order = await askOrder(redis, mac, boot, known)
    if (order !== 'unknown') return { mac, order }
    await boots.expect(mac, boot)
    const asked = await askOrder(redis, mac, boot, true)
    return { mac, order: asked === 'unknown' ? undefined : asked }
  }
}

/** A hypervisor's devices are simple and always the same; hardware that does not take it well is a person's to find out. */
const entersByKexec = ({ kernel }: BundleConfig): boolean => kernel.kexec ?? kernel.release.includes('-cloud-')

const linesOf = (lines: Readonly<Record<string, string | number>>): string =>
  Object.entries(lines)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
