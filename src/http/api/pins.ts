import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { wovenBlueprint } from '../../change/applied.ts'
import type { Context } from '../../change/context.ts'
import { BootloomError } from '../../config/errors.ts'
import { isDebVersion } from '../../repository/deb/version.ts'
import { addEvent } from '../../state/events.ts'
import { listPins, type Pin, putPin, removePin } from '../../state/pins.ts'
import { parseRequest } from './body.ts'

const packageName = z.string().regex(/^[a-z0-9][a-z0-9+.-]{0,127}$/, 'must be the name of a Debian package')

const pinBody = z.strictObject({
  version: z.string().refine(isDebVersion, 'must be a version of a Debian package'),
  /** The last day on which it holds. */
  until: z.iso.date(),
  reason: z.string().trim().min(1, 'must say why').max(400),
})

interface OfPin {
  readonly Params: { readonly blueprint: string; readonly package: string }
}

const aDay = 86_400_000

/** Packages that stay on a version, one application at a time. */
export function pinRoutes(app: FastifyInstance, context: Context): void {
  const { redis } = context.state

  app.get('/v1/pins', () => listPins(redis))

  app.put<OfPin>('/v1/pins/:blueprint/:package', async ({ params, body }) => {
    const { version, until, reason } = parseRequest(pinBody, body)
    const name = parseRequest(packageName, params.package)
    await wovenBlueprint(context, params.blueprint)
    const at = Date.now()
    const ends = Date.parse(until) + aDay
    if (ends <= at) throw new BootloomError('USAGE', 'a pin ends on a day to come', { where: until })
    const pin: Pin = { blueprint: params.blueprint, package: name, version, reason, at, until: ends }
    await putPin(redis, pin)
    await addEvent(redis, { event: 'pin-set', ...pin })
    return pin
  })

  app.delete<OfPin>('/v1/pins/:blueprint/:package', async ({ params: { blueprint, package: name } }) => {
    if (!(await removePin(redis, blueprint, name))) {
      throw new BootloomError('PIN_UNKNOWN', `${blueprint} has no pin on ${name}`, { where: blueprint })
    }
    await addEvent(redis, { event: 'pin-removed', blueprint, package: name })
    return { blueprint, package: name, removed: true }
  })
}
