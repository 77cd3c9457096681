import { access } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyError, type FastifyInstance } from 'fastify'
import { BootloomError } from '../config/errors.ts'
import type { Settings } from '../config/settings.ts'
import { bundleRoutes } from './bundle-routes.ts'
import { cutBadClients, limitConnections, patience } from './connections.ts'
import { hardwareRoutes } from './hardware-routes.ts'
import { learnRoutes } from './learn-routes.ts'
import { matchboxRoutes } from './matchbox-routes.ts'
import { missRoutes } from './miss-routes.ts'
import { noCloudRoutes } from './nocloud-routes.ts'
import type { NodeContext } from './node-context.ts'
import { orderRoutes } from './order-routes.ts'
import { pixiecoreRoutes } from './pixiecore-routes.ts'
import { rackCaches } from './rack-caches.ts'
import { Refusals } from './refusals.ts'
import { reportRoutes } from './report-routes.ts'
import { requestError } from './request-error.ts'
import { scriptRoutes } from './script-routes.ts'
import { loadTemplates } from './template.ts'

interface NodeServerOptions
  extends Pick<
    NodeContext,
    | 'state'
    | 'store'
    | 'assignments'
    | 'boots'
    | 'programs'
    | 'log'
    | 'holders'
    | 'bundles'
    | 'hot'
    | 'admission'
    | 'delivery'
    | 'heartbeat'
  > {
  /** This server on the boot network. */
  readonly address: string
  readonly port: number
  readonly settings: Omit<Settings['http'], 'port'>
}

export interface NodeServer {
  /** `http://ADDRESS:PORT`. */
  readonly url: string
  /** Refused since the start, by the code of the error or the kind of limit. */
  readonly refused: ReadonlyMap<string, number>
  close(): Promise<void>
}

/** Listens on the boot address for what nodes may ask; nothing of the admin's is here. PORT_IN_USE. */
export async function startNodeServer(options: NodeServerOptions): Promise<NodeServer> {
  const { settings, log } = options
  const refusals = new Refusals(log)
  const app = Fastify({
    logger: false,
    bodyLimit: 64 * 1024,
    requestTimeout: patience.request,
    keepAliveTimeout: patience.idle,
    connectionTimeout: patience.idle,
    forceCloseConnections: true,
    clientErrorHandler: cutBadClients(refusals),
    http: { headersTimeout: patience.headers, connectionsCheckingInterval: patience.checking },
  })
  limitConnections(app.server, settings.connections, refusals)
  const url = () => `http://${options.address}:${(app.server.address() as AddressInfo).port}`
  const context: NodeContext = {
    ...options,
    templates: await loadTemplates(),
    caches: rackCaches(settings.caches),
    refusals,
    server: url,
  }
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const typed = requestError(error)
    const details = { url: request.url.slice(0, 200), reason: typed.message }
    refusals.add(typed.code, request.ip, details)
    const status = error.statusCode === 413 ? 413 : typed.status
    return reply.code(status).header('cache-control', 'no-store').send({ error: typed.toJSON() })
  })
  app.setNotFoundHandler((request) => {
    throw new BootloomError('ROUTE_UNKNOWN', `nothing is at ${request.url.slice(0, 200)}`)
  })
  const served = [
    scriptRoutes,
    bundleRoutes,
    reportRoutes,
    hardwareRoutes,
    orderRoutes,
    missRoutes,
    learnRoutes,
    programRoutes,
    healthRoutes,
  ]
  for (const routes of [...served, matchboxRoutes, pixiecoreRoutes, noCloudRoutes]) {
    // Each in a scope of its own: scripts have another error handler, reports another body parser.
    app.register(async (scope) => routes(scope, context))
  }
  try {
    await app.listen({ host: options.address, port: options.port })
  } catch (error) {
    await app.close()
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'EADDRINUSE') throw error
    const where = `${options.address}:${options.port}`
    throw new BootloomError('PORT_IN_USE', `another program listens on ${where}`, { where, cause: error })
  }
  return { url: url(), refused: refusals.counts, close: () => app.close() }
}

/** Boot programs for UEFI HTTP Boot, which is told a URL by DHCP. */
function programRoutes(app: FastifyInstance, { programs, boots }: NodeContext): void {
  app.get<{ Params: { name: string } }>('/program/:name', (request, reply) => {
    const { name } = request.params
    const program = programs.get(name)
    if (!program) throw new BootloomError('ROUTE_UNKNOWN', `there is no boot program '${name}'`)
    // Firmware says no MAC here; it asks from the address that it was just given.
    const mac = request.method === 'HEAD' ? undefined : boots.macAt(request.ip)
    if (mac) boots.record(mac, { stage: 'program', file: name, bytes: program.length })
    return reply.type('application/efi').send(program)
  })
}

function healthRoutes(app: FastifyInstance, { state, store }: NodeContext): void {
  app.get('/healthz', (_request, reply) => reply.type('text/plain').send('ok\n'))

  app.get('/readyz', async (_request, reply) => {
    const answers = async (work: Promise<unknown>) => work.then(() => 'ok').catch((error: Error) => error.message)
    const checks = { redis: await answers(state.redis.ping()), store: await answers(access(store.directory)) }
    const ready = Object.values(checks).every((check) => check === 'ok')
    return reply.code(ready ? 200 : 503).send(checks)
  })
}
