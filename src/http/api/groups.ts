import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { namedOptionsSchema } from '../../config/dhcp-settings.ts'
import { BootloomError } from '../../config/errors.ts'
import { addEvent } from '../../state/events.ts'
import { type Group, getGroup, listGroups, putGroup, removeGroup } from '../../state/groups.ts'
import { noteOptions } from '../../state/optioned.ts'
import { putPowerLogin } from '../../state/power-logins.ts'
import type { ApiContext } from '../api-server.ts'
import { assignmentBody, assignmentFrom } from './assignment.ts'
import { checkOptions, parseRequest } from './body.ts'
import { powerBody, powerFrom } from './power.ts'

const groupName = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'must be lower-case letters, digits and dashes')

/** DHCP options are put in place of those that it had. */
const groupBody = z.strictObject({ ...assignmentBody, options: namedOptionsSchema.optional(), power: powerBody })

interface OfGroup {
  readonly Params: { readonly name: string }
}

export function groupRoutes(app: FastifyInstance, { state: { redis } }: ApiContext): void {
  app.get('/v1/groups', async () => (await listGroups(redis)).sort((a, b) => (a.name < b.name ? -1 : 1)))

  app.get<OfGroup>('/v1/groups/:name', async ({ params }) => {
    const group = await getGroup(redis, params.name)
    if (!group) throw unknown(params.name)
    return group
  })

  app.put<OfGroup>('/v1/groups/:name', async ({ params, body }) => {
    const name = parseRequest(groupName, params.name)
    const present = await getGroup(redis, name)
    const { options = present?.options, power, ...asked } = parseRequest(groupBody, body)
    checkOptions(options)
    const assignment = await assignmentFrom(redis, asked, present?.assignment)
    const group: Group = {
      name,
      ...(assignment === undefined ? {} : { assignment }),
      ...(options === undefined ? {} : { options }),
      ...powerFrom(present === undefined ? {} : { power: present.power }, power),
    }
    await putGroup(redis, group)
    await noteOptions(redis, `group ${name}`, options)
    await addEvent(redis, { event: 'group-set', ...group })
    return group
  })

  app.delete<OfGroup>('/v1/groups/:name', async ({ params }) => {
    if (!(await removeGroup(redis, params.name))) throw unknown(params.name)
    await noteOptions(redis, `group ${params.name}`)
    await putPowerLogin(redis, { group: params.name }, undefined)
    await addEvent(redis, { event: 'group-unset', group: params.name })
    return { name: params.name, forgotten: true }
  })
}

const unknown = (name: string) => new BootloomError('GROUP_UNKNOWN', `there is no group '${name.slice(0, 63)}'`)
