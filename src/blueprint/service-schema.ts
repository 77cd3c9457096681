import { z } from 'zod'
import { probe } from './step-schema.ts'

/** The part of the blueprint format that says how services are started. */

export const absolutePath = z
  .string()
  .max(4096)
  .regex(/^\/(?!.*(^|\/)\.\.?(\/|$))[^\0]*$/, 'must be an absolute path without . or ..')
  .describe('An absolute path on the node.')

export const start = z.strictObject({
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

export const unitName = z
  .string()
  .max(255)
  .regex(/^[A-Za-z0-9:_.\\@-]+$/, 'must be the name of a systemd unit')

export const listedService = z
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
export function refuseCircles(
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

export type Start = z.infer<typeof start>
