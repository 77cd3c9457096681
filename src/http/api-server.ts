import { chmod, mkdtemp, rename, rm } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import { dirname, join } from 'node:path'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import { BootloomError } from '../config/errors.ts'
import type { Logger } from '../config/log.ts'
import type { Settings } from '../config/settings.ts'
import { listens } from '../config/unix-socket.ts'
import type { State } from '../state/redis.ts'
import type { Store } from '../store/store.ts'
import { channelRoutes } from './api/channels.ts'
import { eventRoutes } from './api/events.ts'
import { groupRoutes } from './api/groups.ts'
import { leaseRoutes } from './api/leases.ts'
import { nodeRoutes } from './api/nodes.ts'
import { powerRoutes } from './api/power.ts'
import { userDataRoutes } from './api/user-data.ts'
import { requestError } from './request-error.ts'

/** What the admin's routes answer from. */
export interface ApiContext {
  readonly state: State
  readonly store: Store
  readonly settings: Settings
  readonly log: Logger
}

export type ApiRoutes = (app: FastifyInstance, context: ApiContext) => void | Promise<void>

/** The admin API with the routes of nodes, groups, channels and events, and any further ones. Listens nowhere yet. */
export async function buildApi({
  routes = [],
  ...context
}: ApiContext & { readonly routes?: readonly ApiRoutes[] }): Promise<FastifyInstance> {
  const app = Fastify({ logger: false, bodyLimit: 4 * 1024 * 1024, requestTimeout: 0 })
  app.setErrorHandler((error, request, reply) => {
    const typed = requestError(error)
    if (typed.status >= 500) {
      context.log.error({ event: 'api-failed', url: request.url, code: typed.code, reason: typed.message, err: error })
    }
    return reply.code(typed.status).send({ error: typed.toJSON() })
  })
  app.setNotFoundHandler((request) => {
    throw new BootloomError('ROUTE_UNKNOWN', `nothing is at ${request.method} ${request.url}`)
  })
  app.addHook('onRequest', refuseForeignPages)
  const own = [nodeRoutes, powerRoutes, userDataRoutes, groupRoutes, leaseRoutes, channelRoutes, eventRoutes]
  for (const each of [...own, ...routes]) {
    app.register(async (scope) => each(scope, context))
  }
  await app.ready()
  return app
}

/**
 * On loopback any page that the admin's browser shows can send requests here, also by a name of its own that it lets
 * point to 127.0.0.1. Such requests bear their page's name.
 */
async function refuseForeignPages(request: FastifyRequest): Promise<void> {
  if (request.raw.socket.remoteAddress === undefined) return
  const own = /^(127\.0\.0\.1|localhost)(:\d+)?$/
  const { host = '', origin } = request.headers
  if (own.test(host) && (origin === undefined || own.test(origin.replace(/^http:\/\//, '')))) return
  throw new BootloomError('USAGE', 'the API on loopback answers only to 127.0.0.1 and localhost', { where: host })
}

export interface ApiServer {
  readonly socket: string
  close(): Promise<void>
}

/**
 * Listens on a Unix socket that only its owner may use and, where asked, on 127.0.0.1. A socket that a killed process
 * left behind is replaced; API_IN_USE when a live one answers, PORT_IN_USE for the port.
 */
export async function listenApi(app: FastifyInstance, socket: string, loopbackPort?: number): Promise<ApiServer> {
  if (await listens(socket)) {
    throw new BootloomError('API_IN_USE', 'another server already serves this state directory', { where: socket })
  }
  const servers: Server[] = []
  const close = async () => {
    if (servers.length > 0) await rm(socket, { force: true })
    for (const server of servers) server.closeAllConnections()
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
    await app.close()
  }
  try {
    servers.push(await listenPrivately(app.routing, socket))
    if (loopbackPort !== undefined) {
      const server = createServer(app.routing)
      await listen(server, { host: '127.0.0.1', port: loopbackPort })
      servers.push(server)
    }
  } catch (error) {
    await close()
    throw error
  }
  return { socket, close }
}

/** Made in a directory of our own and moved to its place once its mode is right: nobody can get in before. */
async function listenPrivately(handler: RequestListener, socket: string): Promise<Server> {
  const directory = await mkdtemp(join(dirname(socket), '.api-'))
  const path = join(directory, 's')
  try {
    // A Unix socket's path holds 107 bytes at most (unix(7)).
    if (Buffer.byteLength(path) > 107) {
      throw new BootloomError('SETTINGS_INVALID', 'the state directory has too long a path for a Unix socket', {
        where: socket,
        hint: 'Choose a shorter one with --state.',
      })
    }
    const server = createServer(handler)
    await listen(server, { path })
    await chmod(path, 0o600)
    await rename(path, socket)
    return server
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

function listen(server: Server, where: { path: string } | { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'EADDRINUSE' || !('port' in where)) return reject(cause)
      const taken = `${where.host}:${where.port}`
      reject(new BootloomError('PORT_IN_USE', `another program listens on ${taken}`, { where: taken, cause }))
    })
    server.listen(where, resolve)
  })
}
