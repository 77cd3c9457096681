import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { namedOptionsSchema } from '../../config/dhcp-settings.ts'
import { BootloomError } from '../../config/errors.ts'
import { Assignments } from '../../fleet/assignment.ts'
import { currencies } from '../../fleet/currency.ts'
import { parseMac } from '../../fleet/mac.ts'
import { timeline } from '../../fleet/timeline.ts'
import { blueprintNames } from '../../state/blueprints.ts'
import { bootsOf } from '../../state/boots.ts'
import { getHold } from '../../state/channels.ts'
import { addEvent } from '../../state/events.ts'
import { getHardware, noteHardware } from '../../state/hardware.ts'
import { getNode, getSighting, listNodes, listSightings, removeNode, updateNode } from '../../state/nodes.ts'
import { noteOptions } from '../../state/optioned.ts'
import { listHeard } from '../../state/orders.ts'
import { pendingPatches } from '../../state/pending.ts'
import { pinsInForce } from '../../state/pins.ts'
import { putPowerLogin } from '../../state/power-logins.ts'
import { forgetTries, getTries } from '../../state/tries.ts'
import { putUserData } from '../../state/user-data.ts'
import type { ApiContext } from '../api-server.ts'
import { assignmentBody, assignmentFrom } from './assignment.ts'
import { checkOptions, parseRequest } from './body.ts'
import { powerBody, powerFrom } from './power.ts'

const nodeBody = z.strictObject({
  ...assignmentBody,
  hostname: z
    .string()
    .regex(
      /^(?!.{64})[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/,
      'must be a host name',
    )
    .optional(),
  groups: z
    .array(z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'must be lower-case letters, digits and dashes'))
    .max(32)
    .optional(),
  /** DHCP options, in place of those that it had. */
  options: namedOptionsSchema.optional(),
  power: powerBody,
})

interface OfNode {
  readonly Params: { readonly mac: string }
}

export function nodeRoutes(app: FastifyInstance, { state: { redis }, store, settings, log }: ApiContext): void {
  const assignments = new Assignments(redis, settings, log)

  /** Nodes that the admin named, and machines that were merely seen. */
  app.get('/v1/nodes', async () => {
    const [nodes, sightings, current, pins, heard, pending] = await Promise.all([
      listNodes(redis),
      listSightings(redis),
      currencies(redis, store),
      pinsInForce(redis),
      listHeard(redis),
      pendingPatches(redis),
    ])
    const known = new Map(nodes.map((node) => [node.mac, node]))
    const macs = [...new Set([...known.keys(), ...sightings.keys()])].sort()
    return macs.map((mac) => ({
      mac,
      groups: [],
      ...known.get(mac),
      ...sightings.get(mac),
      heardAt: heard.get(mac),
      currency: current.get(mac),
      pins: pins.filter(({ blueprint }) => blueprint === current.get(mac)?.assigned?.blueprint),
      pending: pending.get(current.get(mac)?.assigned?.blueprint ?? '') ?? [],
    }))
  })

  app.get<OfNode>('/v1/nodes/:mac', async ({ params }) => {
    const mac = parseMac(params.mac)
    const [node, seen, boots, hardware] = await Promise.all([
      getNode(redis, mac),
      getSighting(redis, mac),
      bootsOf(redis, mac),
      getHardware(redis, mac),
    ])
    if (!node && !seen && boots.length === 0) throw unknown(mac)
    const { hostname: _hostname, ...answer } = await assignments.resolve(mac)
    const blueprint = 'blueprint' in answer ? answer.blueprint : undefined
    const [tries, hold] = blueprint
      ? await Promise.all([getTries(redis, blueprint, mac), getHold(redis, blueprint)])
      : [[], undefined]
    return {
      node: { mac, groups: [], ...node, ...seen },
      assignment: 'blueprint' in answer ? assigned(answer) : null,
      answer,
      tries,
      hold: hold ?? null,
      hardware: hardware ?? null,
      boots: boots.map((boot) => ({
        ...boot,
        ...(boot.outcome ? { closedAt: boot.updatedAt } : {}),
        stages: timeline(boot),
      })),
    }
  })

  /** Sets what the body names and leaves the rest as it is. */
  app.put<OfNode>('/v1/nodes/:mac', async ({ params, body }) => {
    const mac = parseMac(params.mac)
    const { hostname, groups, options, power, ...asked } = parseRequest(nodeBody, body)
    checkOptions(options)
    const present = await getNode(redis, mac)
    const assignment = await assignmentFrom(redis, asked, present?.assignment)
    const node = await updateNode(redis, mac, (current) => ({
      ...powerFrom(current, power),
      groups: current?.groups ?? [],
      mac,
      ...(assignment === undefined ? {} : { assignment }),
      ...(hostname === undefined ? {} : { hostname }),
      ...(groups === undefined ? {} : { groups }),
      ...(options === undefined ? {} : { options }),
    }))
    await noteOptions(redis, `node ${mac}`, node.options)
    // Whoever says what it boots wants it tried.
    const named = asked.blueprint !== undefined || asked.channel !== undefined || asked.bundle !== undefined
    if (named && assignment) await forgetTries(redis, assignment.blueprint, mac)
    if (assignment) await noteHardware(redis, mac)
    await addEvent(redis, { event: 'node-set', ...node })
    return node
  })

  app.delete<OfNode>('/v1/nodes/:mac', async ({ params }) => {
    const mac = parseMac(params.mac)
    await putUserData(redis, { node: mac }, '')
    await putPowerLogin(redis, { node: mac }, undefined)
    if (!(await removeNode(redis, mac))) throw unknown(mac)
    for (const blueprint of await blueprintNames(redis)) await forgetTries(redis, blueprint, mac)
    await noteOptions(redis, `node ${mac}`)
    await addEvent(redis, { event: 'node-unset', mac })
    return { mac, forgotten: true }
  })
}

/** A pinned bundle is told by its digest, anything else by the channel that is followed. */
function assigned(answer: { blueprint: string; channel?: string; bundle?: string; gaveUp?: string; via: string }) {
  const { blueprint, channel, via } = answer
  const bundle = answer.gaveUp ?? answer.bundle
  return channel === undefined ? { blueprint, bundle, via } : { blueprint, channel, via }
}

const unknown = (mac: string) => new BootloomError('NODE_UNKNOWN', `${mac} was never assigned or seen`, { where: mac })
