import { z } from 'zod'

/**
 * The blueprint format. This schema is the single source: YAML is checked against it, `docs/reference/blueprint.md` and
 * `templates/blueprints/blueprint.schema.json` (for editors) are generated from it with `npm run docs`.
 */

const absolutePath = z
  .string()
  .max(4096)
  .regex(/^\/(?!.*(^|\/)\.\.?(\/|$))[^\0]*$/, 'must be an absolute path without . or ..')
  .describe('An absolute path on the node.')

const packageName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9.+:~-]+)?$/, 'must be a Debian package name, or NAME=VERSION')

const debSource = z.strictObject({
  deb: z
    .strictObject({
      suite: z
        .string()
        .regex(/^[a-z][a-z0-9-]*$/)
        .default('bookworm')
        .describe('The Debian suite.'),
      updates: z.boolean().default(true).describe('Also draw on SUITE-updates.'),
      security: z.boolean().default(true).describe('Also draw on SUITE-security.'),
      packages: z.array(packageName).min(1).describe('Package names; NAME=VERSION pins one. Dependencies follow.'),
    })
    .describe('Packages of a Debian suite, with their dependencies.'),
})

const treeSource = z.strictObject({
  tree: z
    .strictObject({
      path: z.string().min(1).max(4096).describe('A directory on the server; relative to the blueprint file.'),
      at: absolutePath.describe('Where it stands on the node.'),
      owner: z
        .string()
        .regex(/^[0-9]+:[0-9]+$/, 'must be UID:GID in numbers')
        .default('0:0')
        .describe('UID:GID of every file.'),
      trim: z.boolean().default(false).describe('Keep only what was observed, instead of the whole tree.'),
    })
    .describe('A directory on the server, watched: every settled state is a new component version.'),
})

const port = z.int().min(1).max(65535)

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

const probe = z.union([httpRequest, tcpExchange, commandRun])

const workloadStep = z.union([
  httpRequest,
  tcpExchange,
  commandRun,
  sqlRun,
  scripts,
  z.strictObject({ reload: z.literal(true).describe('Have the services reload, and go on.') }),
  z.strictObject({
    rotate: z
      .literal(true)
      .describe('Move the logs below /var/log away, as logrotate does, and have the services reload.'),
  }),
  z.strictObject({ restart: z.literal(true).describe('Stop the services and start them again.') }),
  z.strictObject({ wait: z.number().min(0).max(60).describe('Seconds to let the application be.') }),
])

const addedFile = z
  .strictObject({
    path: absolutePath,
    content: z.string().max(1_048_576).optional().describe('The text of the file.'),
    from: z.string().max(4096).optional().describe('A file on the server; relative to the blueprint file.'),
    mode: z
      .string()
      .regex(/^0?[0-7]{3,4}$/, 'must be an octal mode')
      .default('0644'),
    owner: z
      .string()
      .regex(/^[0-9]+:[0-9]+$/, 'must be UID:GID in numbers')
      .default('0:0'),
  })
  .refine((file) => (file.content === undefined) !== (file.from === undefined), 'needs either content or from')

const start = z.strictObject({
  command: z.array(z.string().max(4096)).min(1).describe('Program and arguments.'),
  type: z
    .enum(['simple', 'forking', 'oneshot'])
    .default('simple')
    .describe('`simple`: it stays in the foreground. `forking`: it leaves a process behind. `oneshot`: it ends.'),
  pidFile: absolutePath.optional().describe('Where a forking one writes its process id.'),
  user: z
    .string()
    .regex(/^[a-z_][a-z0-9_-]*$/)
    .default('root')
    .describe('Account that it runs as.'),
  directory: absolutePath.default('/').describe('Working directory.'),
  environment: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string().max(4096)).default({}),
  reload: z.enum(['HUP', 'USR1', 'USR2', 'TERM']).default('HUP').describe('Signal that makes it reload.'),
  stop: z.enum(['TERM', 'INT', 'QUIT', 'WINCH', 'HUP']).default('TERM').describe('Signal that ends it.'),
})

const unitName = z
  .string()
  .max(255)
  .regex(/^[A-Za-z0-9:_.\\@-]+$/, 'must be the name of a systemd unit')

const listedService = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'must be lower-case letters, digits and dashes, 63 at most')
      .describe('What it is called in reports; also its unit, unless one of the next two says otherwise.'),
    unit: unitName.optional().describe('The systemd unit that says how it is started.'),
    start: start.optional().describe('How it is started, instead of a unit.'),
    after: z.array(z.string()).max(32).default([]).describe('Services that must be ready first.'),
    probe: probe.optional().describe('What tells that it is ready; without it, having been started.'),
  })
  .refine(({ unit, start }) => unit === undefined || start === undefined, 'takes a unit or a start, not both')

/** Every `after` names a service of the list, and none waits for itself in the end. */
function refuseCircles(
  services: readonly { name: string; after: readonly string[] }[],
  context: z.RefinementCtx,
): void {
  const left = new Map(services.map(({ name, after }) => [name, new Set(after)]))
  const say = (index: number, message: string) => context.addIssue({ code: 'custom', message, path: [index] })
  for (const [index, { name, after }] of services.entries()) {
    if (services.findIndex((other) => other.name === name) < index) say(index, `another service is called ${name}`)
    for (const other of after) if (!left.has(other)) say(index, `after ${other}: no service is called so`)
  }
  for (let placed = true; placed; ) {
    const ready = [...left].filter(([, after]) => [...after].every((name) => !left.has(name)))
    for (const [name] of ready) left.delete(name)
    placed = ready.length > 0
  }
  const [waiting] = left.keys()
  if (waiting !== undefined)
    say(
      services.findIndex(({ name }) => name === waiting),
      `${waiting} waits for itself`,
    )
}

export const blueprintSchema = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'must be lower-case letters, digits and dashes, 63 at most')
      .describe('The name of the blueprint.'),
    description: z.string().max(400).optional(),
    stack: z
      .array(z.union([debSource, treeSource]))
      .min(1)
      .describe('Where components come from.'),
    kernel: z
      .strictObject({
        flavour: z.enum(['cloud', 'generic']).default('cloud').describe("Debian's cloud or generic kernel."),
        modules: z
          .array(z.string().regex(/^[A-Za-z0-9_-]+$/))
          .default(['virtio_pci', 'virtio_net'])
          .describe('Modules by name; what they depend on follows.'),
        cmdline: z
          .string()
          .max(1024)
          .regex(/^[\x20-\x7e]*$/, 'must be printable ASCII')
          .default('')
          .describe('More words for the kernel command line.'),
      })
      .prefault({}),
    start: start.optional().describe('How the application is started, where no unit of the stack says so.'),
    service: unitName.optional().describe('The systemd unit of the stack that says how the application is started.'),
    services: z
      .array(listedService)
      .min(1)
      .max(32)
      .superRefine(refuseCircles)
      .optional()
      .describe('Several services instead of one, with their order.'),
    probe: probe.describe('What tells that the application is up; the same on the watched run and on the node.'),
    workload: z.array(workloadStep).max(1000).default([]).describe('What to drive while watching, after the probe.'),
    keep: z.array(z.string().max(4096)).default([]).describe('Globs of paths kept whether observed or not.'),
    drop: z.array(z.string().max(4096)).default([]).describe('Globs of paths left out whatever asks for them.'),
    files: z.array(addedFile).default([]).describe('Files added to the bundle.'),
    onMiss: z
      .enum(['deny', 'fetch'])
      .default('deny')
      .describe(
        'What a file is that the stack has and the bundle lacks, on a running node: not there, and told to the admin, or fetched from the repository.',
      ),
    ports: z.array(port).default([]).describe('Ports that the application serves on.'),
    writable: z
      .array(
        z.strictObject({
          path: absolutePath,
          owner: z
            .string()
            .regex(/^[a-z_][a-z0-9_-]*$/)
            .default('root'),
          mode: z
            .string()
            .regex(/^0?[0-7]{3,4}$/)
            .default('0755'),
        }),
      )
      .default([])
      .describe('Directories made at start, such as those below /run.'),
  })
  .superRefine(({ start, service, services }, context) => {
    const given = Object.entries({ start, service, services }).flatMap(([key, value]) => (value ? [key] : []))
    if (given.length > 1) {
      context.addIssue({ code: 'custom', message: `takes one of ${given.join(' and ')}`, path: [given[1]!] })
    }
  })

export type Blueprint = z.infer<typeof blueprintSchema>
export type Start = z.infer<typeof start>
export type Probe = z.infer<typeof probe>
export type WorkloadStep = z.infer<typeof workloadStep>
