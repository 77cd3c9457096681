import { z } from 'zod'

/** The part of the blueprint format that says what is asked of an application: probes and workloads. */

export const port = z.int().min(1).max(65535)

const httpRequest = z.strictObject({
  http: z.string().regex(/^\//, 'must be a path beginning with /').describe('Path to GET on the application.'),
  port: port.default(80),
  expect: z
    .strictObject({
      status: z.int().min(100).max(599).default(200),
      contains: z.string().max(1024).optional().describe('Text that the answer must hold.'),
    })
    .prefault({}),
})

const tcpExchange = z.strictObject({
  tcp: port.describe('Port to connect to.'),
  send: z.string().max(65536).optional().describe('What to send first; escapes as in YAML double quotes.'),
  expect: z.string().max(1024).optional().describe('Text that the answer must hold.'),
})

const account = z
  .string()
  .regex(/^[a-z_][a-z0-9_-]*$/)
  .optional()

const commandRun = z.strictObject({
  command: z.array(z.string().max(4096)).min(1).describe('Program and arguments, run beside the application.'),
  user: account.describe('Account that it runs as, instead of that of the (first) service.'),
  expect: z
    .strictObject({ exit: z.int().min(0).max(255).default(0), contains: z.string().max(1024).optional() })
    .prefault({}),
})

const sqlRun = z.strictObject({
  sql: z.string().max(65536).describe('Statements for the database, given to psql or mariadb beside it.'),
  on: z.enum(['postgresql', 'mariadb']).describe('Which database.'),
  database: z.string().max(63).optional().describe('The database to connect to.'),
  expect: z.strictObject({ contains: z.string().max(1024).optional() }).prefault({}),
})

const scripts = z.strictObject({
  scripts: z
    .string()
    .min(1)
    .max(4096)
    .describe(
      'A directory on the server, relative to the blueprint file: each executable in it is run beside the application, in the order of their names.',
    ),
  user: account.describe('Account that they run as, instead of that of the (first) service.'),
})

/** What tells that an application is up. */
export const probe = z.union([httpRequest, tcpExchange, commandRun])

/** What an application is driven with while it is watched. */
export const workloadStep = z.union([
  httpRequest,
  tcpExchange,
  commandRun,
  sqlRun,
  scripts,
  z.strictObject({ reload: z.literal(true).describe('Have the services reload, and go on.') }),
  z.strictObject({
    rotate: z
      .literal(true)
      .describe(
        "Rotate the logs by the packages' own files in /etc/logrotate.d, their scripts included; where none of those says anything, move the logs below /var/log away and have the services reload.",
      ),
  }),
  z.strictObject({ restart: z.literal(true).describe('Stop the services and start them again.') }),
  z.strictObject({ wait: z.number().min(0).max(60).describe('Seconds to let the application be.') }),
])

export type Probe = z.infer<typeof probe>
export type WorkloadStep = z.infer<typeof workloadStep>
