import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { BootloomError } from '../../config/errors.ts'
import { parseMac } from '../../fleet/mac.ts'
import { parsePower, requirePower } from '../../fleet/power/power.ts'
import { rebootNode } from '../../fleet/reboot.ts'
import { addEvent } from '../../state/events.ts'
import { type PowerLogin, putPowerLogin } from '../../state/power-logins.ts'
import type { ApiContext } from '../api-server.ts'
import { parseRequest } from './body.ts'

/** The controller that switches a node on and off, by its URL; empty takes it away. */
export const powerBody = z.string().max(400).optional()

/** A record with the controller that a request names; as it was when the request names none. */
export function powerFrom<T extends { power?: string | undefined }>(
  record: T | undefined,
  asked: string | undefined,
): Omit<T, 'power'> & { power?: string } {
  const { power: present, ...rest } = record ?? ({} as T)
  const power = asked === undefined ? present : asked === '' ? undefined : parsePower(asked)
  return { ...rest, ...(power === undefined ? {} : { power }) }
}

/** `USER:PASSWORD`, as a file holds it; empty takes it away. */
const loginBody = z.strictObject({ login: z.string().max(400) })
const actionBody = z.strictObject({ action: z.enum(['on', 'off', 'cycle']) })
const rebootBody = z.strictObject({
  /** Through the firmware, though the node could do without. */
  full: z.boolean().default(false),
})
const groupName = z.object({ name: z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/) })

interface OfNode {
  readonly Params: { readonly mac: string }
}

/** Switching nodes on and off, and booting them anew. A login is set and never read back. */
export function powerRoutes(app: FastifyInstance, { state: { redis }, settings }: ApiContext): void {
  app.put<OfNode>('/v1/nodes/:mac/power-login', async ({ params, body }) => {
    const mac = parseMac(params.mac)
    await putPowerLogin(redis, { node: mac }, loginFrom(body))
    return { mac }
  })

  app.put('/v1/groups/:name/power-login', async ({ params, body }) => {
    const { name } = parseRequest(groupName, params)
    await putPowerLogin(redis, { group: name }, loginFrom(body))
    return { name }
  })

  app.get<OfNode>('/v1/nodes/:mac/power', async ({ params }) => {
    const mac = parseMac(params.mac)
    return { mac, power: await (await requirePower(redis, mac)).status() }
  })

  app.post<OfNode>('/v1/nodes/:mac/power', async ({ params, body }) => {
    const mac = parseMac(params.mac)
    const { action } = parseRequest(actionBody, body)
    await (await requirePower(redis, mac)).act(action)
    await addEvent(redis, { event: 'node-power', mac, action })
    return { mac, action }
  })

  app.post<OfNode>('/v1/nodes/:mac/reboot', async ({ params, body }) => {
    const mac = parseMac(params.mac)
    const { full } = parseRequest(rebootBody, body)
    const by = await rebootNode(redis, mac, { full, heartbeat: settings.fleet.heartbeat })
    if (by === undefined) throw new BootloomError('NODE_SILENT', `${mac} does not ask for orders`, { where: mac })
    await addEvent(redis, { event: 'node-reboot', mac, by })
    return { mac, by }
  })
}

function loginFrom(body: unknown): PowerLogin | undefined {
  const text = parseRequest(loginBody, body).login.replace(/\r?\n$/, '')
  if (text === '') return undefined
  const [, user, password] = /^([\x21-\x39\x3b-\x7e]{1,64}):([\x20-\x7e]{0,256})$/.exec(text) ?? []
  // Without the text: it may be a password.
  if (user === undefined) throw new BootloomError('USAGE', 'a login is one line, as USER:PASSWORD')
  return { user, password: password! }
}
