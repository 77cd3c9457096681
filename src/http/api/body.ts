import type { z } from 'zod'
import { BootloomError } from '../../config/errors.ts'

/** A request's body, query or parameters as the schema has them; USAGE with every finding and its path. */
export function parseRequest<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value ?? {})
  if (result.success) return result.data
  throw new BootloomError('USAGE', 'the request does not fit', {
    details: result.error.issues.map(({ path, message }) =>
      path.length > 0 ? `${path.join('.')}: ${message}` : message,
    ),
  })
}
