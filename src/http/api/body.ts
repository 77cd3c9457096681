import type { z } from 'zod'
import type { NamedOptions } from '../../config/dhcp-settings.ts'
import { BootloomError } from '../../config/errors.ts'
import { readNamedOptions } from '../../dhcp/named-options.ts'

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

/** DHCP options whose names and values are right; USAGE with every finding. */
export function checkOptions(options: NamedOptions | undefined): NamedOptions | undefined {
  const findings: string[] = []
  readNamedOptions(options ?? {}, 'options', (finding) => findings.push(finding))
  if (findings.length === 0) return options
  throw new BootloomError('USAGE', 'the DHCP options do not fit', { details: findings })
}
