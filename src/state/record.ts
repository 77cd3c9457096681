import type { z } from 'zod'
import { BootloomError } from '../config/errors.ts'
import type { Redis } from './redis.ts'

/** JSON out of Redis, checked: another version, or a person with redis-cli, may have written it. */
export function parseRecord<T>(schema: z.ZodType<T>, json: string, key: string): T {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    throw new BootloomError('INTERNAL', 'Redis holds a record that is no JSON', { where: key })
  }
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw new BootloomError('INTERNAL', 'Redis holds a record that does not fit', {
    where: key,
    details: result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`),
  })
}

/** KEYS: hash. ARGV: field, value expected ('' when absent), new value. */
const swap = `
local found = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if found ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1`

/**
 * Changes one record of a hash by what it holds now; two writers at once both get their say, one after the other.
 * `change` is called again when the record moved in between, so it must only compute.
 */
export async function updateRecord<T>(
  redis: Redis,
  key: string,
  field: string,
  schema: z.ZodType<T>,
  change: (current: T | undefined) => T,
): Promise<T> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const json = await redis.hget(key, field)
    const next = change(json === null ? undefined : parseRecord(schema, json, `${key} ${field}`))
    const swapped = await redis.eval(swap, 1, key, field, json ?? '', JSON.stringify(next))
    if (swapped === 1) return next
  }
  throw new BootloomError('INTERNAL', 'a record kept changing while it was being changed', { where: `${key} ${field}` })
}

/** Whether an error means that Redis is away, as opposed to a command that it refused. */
export function isRedisAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (error.name === 'MaxRetriesPerRequestError' || error.name === 'LeaseTableAway') return true
  const code = (error as NodeJS.ErrnoException).code ?? ''
  return (
    ['ECONNREFUSED', 'ECONNRESET', 'ENOENT', 'EPIPE', 'ETIMEDOUT'].includes(code) ||
    /Command timed out|Connection is closed|Stream isn't writeable|^(LOADING|MASTERDOWN|CLUSTERDOWN)/.test(
      error.message,
    )
  )
}
