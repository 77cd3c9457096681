import { Agent, buildConnector, type Dispatcher, request as send } from 'undici'
import { z } from 'zod'
import { BootloomError } from '../../config/errors.ts'
import type { PowerLogin } from '../../state/power-logins.ts'
import type { PowerAction, PowerDriver } from './power.ts'

/** Milliseconds for one request. */
const patience = 15_000
/** Bytes of an answer. */
const largest = 1024 * 1024

const path = z.string().regex(/^\/[\x21-\x7e]*$/)
const collection = z.object({ Members: z.array(z.object({ '@odata.id': path })) })
const system = z.object({
  PowerState: z.string(),
  Actions: z.object({
    '#ComputerSystem.Reset': z.object({
      target: path,
      'ResetType@Redfish.AllowableValues': z.array(z.string()).optional(),
    }),
  }),
})

/** Kinds of reset (DSP2046, ComputerSystem.Reset) that do what is asked, the first that the machine takes. */
const resets: Readonly<Record<PowerAction, readonly string[]>> = {
  on: ['On', 'ForceOn'],
  off: ['ForceOff'],
  cycle: ['PowerCycle', 'ForceRestart'],
}

/**
 * A Redfish service: `redfish://HOST[:PORT][/redfish/v1/Systems/ID]`; without a path it must have one system only. TLS with a
 * certificate that this machine trusts, or, since controllers sign their own, with the one that
 * `?fingerprint=AA:BB:…` names (SHA-256). `redfish+http://` speaks in the clear.
 */
export function redfish(url: URL, login: PowerLogin | undefined): PowerDriver {
  const origin = `${url.protocol === 'redfish:' ? 'https' : 'http'}://${url.host}`
  const fingerprint = url.searchParams.get('fingerprint')
  const ask = async (place: string, body?: object): Promise<unknown> => {
    const agent = new Agent({ connect: fingerprint ? pinned(fingerprint) : { timeout: patience } })
    try {
      const answer = await send(origin + place, requestOf(agent, login, body))
      const text = await textOf(answer)
      if (answer.statusCode >= 400) throw new Error(`status ${answer.statusCode} for ${place}`)
      return text === '' ? undefined : JSON.parse(text)
    } catch (error) {
      throw failed(url, error)
    } finally {
      await agent.destroy()
    }
  }
  const find = async () => {
    const place = url.pathname.length > 1 ? url.pathname : await onlySystem(ask, url)
    return read(system, await ask(place), url)
  }
  return {
    status: async () => (/^(On|PoweringOff)$/.test((await find()).PowerState) ? 'on' : 'off'),
    async act(action) {
      const { Actions, PowerState } = await find()
      const { target, 'ResetType@Redfish.AllowableValues': taken } = Actions['#ComputerSystem.Reset']
      const wanted = resets[action === 'cycle' && PowerState === 'Off' ? 'on' : action]
      const kind = wanted.find((one) => taken?.includes(one)) ?? wanted.at(-1)!
      await ask(target, { ResetType: kind })
    },
  }
}

const requestOf = (dispatcher: Dispatcher, login: PowerLogin | undefined, body: object | undefined) => ({
  dispatcher,
  method: body === undefined ? ('GET' as const) : ('POST' as const),
  headersTimeout: patience,
  bodyTimeout: patience,
  headers: {
    accept: 'application/json',
    ...(login ? { authorization: `Basic ${Buffer.from(`${login.user}:${login.password}`).toString('base64')}` } : {}),
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
  },
  ...(body === undefined ? {} : { body: JSON.stringify(body) }),
})

async function textOf({ body }: Dispatcher.ResponseData): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > largest) throw new Error('the answer is larger than 1 MiB')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

async function onlySystem(ask: (place: string) => Promise<unknown>, url: URL): Promise<string> {
  const { Members } = read(collection, await ask('/redfish/v1/Systems'), url)
  if (Members.length === 1) return Members[0]!['@odata.id']
  throw failed(
    url,
    new Error(`it has ${Members.length} systems: name one, as ${url.protocol}//${url.host}/redfish/v1/Systems/1`),
  )
}

function read<T>(schema: z.ZodType<T>, value: unknown, url: URL): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw failed(url, new Error(`its answer does not fit at ${result.error.issues[0]?.path.join('.')}`))
}

/** A connection to whoever has the certificate of this fingerprint, and to nobody else. */
function pinned(fingerprint: string): buildConnector.connector {
  const connect = buildConnector({ rejectUnauthorized: false, timeout: patience })
  const wanted = fingerprint.replaceAll(':', '').toLowerCase()
  return (options, done) =>
    connect(options, (error, socket) => {
      if (error) return done(error, null)
      const found = 'getPeerCertificate' in socket ? socket.getPeerCertificate().fingerprint256 : ''
      if (found.replaceAll(':', '').toLowerCase() === wanted) return done(null, socket)
      socket.destroy()
      done(new Error(`its certificate has the fingerprint ${found}`), null)
    })
}

/** What went wrong, without what was sent. */
function failed(url: URL, error: unknown): BootloomError {
  if (error instanceof BootloomError) return error
  return new BootloomError('POWER_FAILED', `Redfish: ${(error as Error).message}`, { where: url.host })
}
