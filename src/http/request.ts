import type { FastifyRequest } from 'fastify'
import { BootloomError } from '../config/errors.ts'
import { parseMac } from '../fleet/mac.ts'

/** One value of the query string; the first when it is given twice. */
export function queryValue(request: FastifyRequest, name: string): string | undefined {
  const value = (request.query as Record<string, string | string[] | undefined>)[name]
  return Array.isArray(value) ? value[0] : value
}

/** USAGE when it is missing. */
export function requiredQuery(request: FastifyRequest, name: string): string {
  const value = queryValue(request, name)
  if (value === undefined || value === '')
    throw new BootloomError('USAGE', `${name}= is missing`, { where: request.url })
  return value
}

/** The MAC that the request names; MAC_INVALID. */
export const macOf = (request: FastifyRequest): string => parseMac(requiredQuery(request, 'mac'))

/** What a node says of its hardware, where it can be believed to be that. */
export function identityOf(request: FastifyRequest): { uuid?: string; serial?: string } {
  const uuid = queryValue(request, 'uuid')?.toLowerCase() ?? ''
  const serial = queryValue(request, 'serial')?.trim() ?? ''
  return {
    ...(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid) ? { uuid } : {}),
    ...(/^[\x20-\x7e]{1,64}$/.test(serial) ? { serial } : {}),
  }
}
