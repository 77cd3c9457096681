import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { BootloomError } from '../../config/errors.ts'
import { Bundles } from '../../fleet/bundles.ts'
import { parseMac } from '../../fleet/mac.ts'
import { bundleOfChannel, startRollout } from '../../fleet/rollout/start.ts'
import { channelNames } from '../../state/channels.ts'
import { addEvent } from '../../state/events.ts'
import type { Redis } from '../../state/redis.ts'
import { getRollout, listRolloutNodes, listRollouts, type Rollout, updateRollout } from '../../state/rollouts.ts'
import type { Digest } from '../../store/digest.ts'
import type { ApiContext } from '../api-server.ts'
import { bundleOf, requireBlueprint } from './assignment.ts'
import { parseRequest } from './body.ts'

const command = z.string().min(1).max(4096).optional()

const startBody = z.strictObject({
  blueprint: z.string().max(63),
  channel: z.enum(channelNames).default('stable'),
  /** A bundle by its digest or its first digits, or a channel. */
  to: z.string().max(80).default('candidate'),
  batch: z.string().max(8).default('10%'),
  maxFailures: z.int().min(1).max(100_000).default(1),
  /** Seconds. */
  deadline: z.int().min(5).max(86_400).default(300),
  drain: command,
  undrain: command,
  canary: z.string().max(40).optional(),
  full: z.boolean().default(false),
})

interface OfBlueprint {
  readonly Params: { readonly name: string }
}

/** From which state to which a person may bring a rollout. */
const turns = {
  pause: { from: ['running'], to: { state: 'paused' } },
  resume: { from: ['paused'], to: { state: 'running' } },
  abort: { from: ['running', 'paused'], to: { state: 'returning', ending: 'aborted', reason: 'aborted by hand' } },
} as const

export function rolloutRoutes(app: FastifyInstance, { state: { redis }, store }: ApiContext): void {
  const bundles = new Bundles(store)

  app.get('/v1/rollouts', () => listRollouts(redis))

  app.get<OfBlueprint>('/v1/rollouts/:name', async ({ params: { name } }) => ({
    rollout: await rolloutOf(redis, name),
    nodes: await listRolloutNodes(redis, name),
  }))

  app.post('/v1/rollouts', async (request) => {
    const { to, canary, ...asked } = parseRequest(startBody, request.body)
    if (asked.drain ?? asked.undrain) requireOwner(request)
    await requireBlueprint(redis, asked.blueprint)
    const bundle = await targetOf(redis, asked.blueprint, to)
    // A bundle that cannot be served would leave the nodes without one.
    await bundles.get(bundle)
    const first = canary === undefined ? {} : { canary: parseMac(canary) }
    const rollout = await startRollout(redis, store, { ...asked, ...first, to: bundle })
    await addEvent(redis, { event: 'rollout-started', blueprint: rollout.blueprint, bundle, from: rollout.from })
    return rollout
  })

  for (const [verb, { from, to }] of Object.entries(turns)) {
    app.post<OfBlueprint>(`/v1/rollouts/:name/${verb}`, async ({ params: { name } }) => {
      const found = await rolloutOf(redis, name)
      const turned = await updateRollout(redis, found, (current) => {
        if ((from as readonly string[]).includes(current.state)) return { ...current, ...to }
        throw new BootloomError('ROLLOUT_UNKNOWN', `the rollout of ${name} is ${current.state}`, { where: name })
      })
      await addEvent(redis, { event: 'rollout-told', blueprint: name, to: verb })
      return turned
    })
  }
}

async function rolloutOf(redis: Redis, blueprint: string): Promise<Rollout> {
  const rollout = await getRollout(redis, blueprint)
  if (rollout) return rollout
  throw new BootloomError('ROLLOUT_UNKNOWN', `${blueprint.slice(0, 63)} was never rolled out`, { where: blueprint })
}

async function targetOf(redis: Redis, blueprint: string, to: string): Promise<Digest> {
  const channel = channelNames.find((name) => name === to)
  if (channel) return bundleOfChannel(redis, blueprint, channel)
  if (!/^(sha256:)?[0-9a-f]{4,64}$/.test(to)) throw new BootloomError('USAGE', `"${to}" is no channel and no digest`)
  const named = await bundleOf(redis, to)
  if (named.blueprint === blueprint) return named.bundle
  throw new BootloomError('USAGE', `this bundle is of the blueprint ${named.blueprint}`, { where: named.bundle })
}

/** Commands run as this server does: they are taken from its owner by the Unix socket, not from whoever reaches loopback. */
function requireOwner({ raw }: FastifyRequest): void {
  if (raw.socket.remoteAddress === undefined) return
  throw new BootloomError('USAGE', 'commands to be run on the server are taken by its Unix socket only')
}
