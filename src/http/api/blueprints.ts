import { isAbsolute } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { whatIsLeftOut } from '../../blueprint/left-out.ts'
import { blueprintSchema } from '../../blueprint/schema.ts'
import type { Selection } from '../../blueprint/selection.ts'
import type { Service } from '../../blueprint/service.ts'
import { servicesOf } from '../../blueprint/services.ts'
import { appliedBlueprint, applyBlueprint, stackOf, wovenBlueprint } from '../../change/applied.ts'
import type { Context } from '../../change/context.ts'
import type { Pipeline } from '../../change/pipeline/pipeline.ts'
import type { LeftOut, ListedFile } from '../../change/report.ts'
import { componentsOf } from '../../change/work.ts'
import type { Workshop } from '../../change/workshop.ts'
import { BootloomError } from '../../config/errors.ts'
import { loadComponent } from '../../repository/recorded.ts'
import type { Stack } from '../../repository/stack.ts'
import { listBlueprints } from '../../state/blueprints.ts'
import { getChannels } from '../../state/channels.ts'
import { assignmentOf, listGroups } from '../../state/groups.ts'
import { listNodes } from '../../state/nodes.ts'
import { parseRequest } from './body.ts'
import { streamJob } from './stream-job.ts'

const applyBody = z.strictObject({
  yaml: z.string().max(8 * 1024 * 1024),
  /** Where relative paths in it count from. */
  directory: z.string().max(4096).refine(isAbsolute, 'must be an absolute path'),
  /** Its name, for errors. */
  file: z
    .string()
    .max(255)
    .regex(/^[^/]+$/)
    .optional(),
})

const composeBody = z.strictObject({
  level: z.enum(['fast', 'thorough']).optional(),
  full: z.boolean().optional(),
  replay: z.boolean().optional(),
  rounds: z.int().min(0).max(20).optional(),
})

const observeBody = z.strictObject({
  method: z.enum(['strace', 'fanotify']).optional(),
  fresh: z.boolean().optional(),
  watch: z.boolean().optional(),
})

const draftBody = z.strictObject({
  name: blueprintSchema.shape.name,
  packages: blueprintSchema.shape.stack.element.options[0].shape.deb.shape.packages,
  service: blueprintSchema.shape.service,
})

interface OfBlueprint {
  readonly Params: { readonly name: string }
}

export function blueprintRoutes(
  app: FastifyInstance,
  context: Context,
  workshop: Workshop,
  pipeline: Pipeline,
  onApplied: () => Promise<void>,
): void {
  const { redis } = context.state

  app.get('/v1/blueprints', async () => {
    const [records, nodes, groups] = await Promise.all([listBlueprints(redis), listNodes(redis), listGroups(redis)])
    const assigned = nodes.map((node) => assignmentOf(node, groups)?.blueprint)
    return Promise.all(
      records.map(async ({ name, error }) => {
        const { blueprint } = await appliedBlueprint(context, name)
        return {
          name,
          channels: pointers(await getChannels(redis, name)),
          nodes: assigned.filter((blueprint) => blueprint === name).length,
          packages: stackOf(blueprint).flatMap((source) => ('deb' in source ? source.deb.packages : [])),
          ...(error === undefined ? {} : { error }),
        }
      }),
    )
  })

  app.post('/v1/blueprints', async ({ body }) => {
    const record = await applyBlueprint(context, parseRequest(applyBody, body))
    await onApplied()
    return record
  })

  app.post('/v1/drafts', async ({ body }, reply) => {
    const draft = parseRequest(draftBody, body)
    return streamJob(reply, (progress, signal) => workshop.run({ kind: 'draft', ...draft }, progress, signal))
  })

  app.get<OfBlueprint>('/v1/blueprints/:name', async ({ params: { name } }) => {
    const { blueprint, record } = await appliedBlueprint(context, name)
    const { yaml: _yaml, ...progress } = record
    return { ...progress, channels: pointers(await getChannels(redis, name)), blueprint }
  })

  app.get<OfBlueprint>('/v1/blueprints/:name/files', async ({ params: { name } }): Promise<ListedFile[]> => {
    const selection = await selectionOf(context, name)
    return selection.parts
      .flatMap(({ component, files }) =>
        files.map(({ path, type, size, reason }) => ({ path, type, size, component: component.name, reason })),
      )
      .sort((a, b) => (a.path < b.path ? -1 : 1))
  })

  app.get<OfBlueprint>('/v1/blueprints/:name/services', async ({ params: { name } }): Promise<readonly Service[]> => {
    const { blueprint, record } = await wovenBlueprint(context, name)
    if (!record.stackDigest) {
      throw new BootloomError('NOT_COMPOSED', `${name} has no stack yet`, { hint: `Run \`bootloom observe ${name}\`.` })
    }
    const stack = await context.store.readJson<Stack>(record.stackDigest)
    return servicesOf(blueprint, await componentsOf(stack, context), context.store)
  })

  app.get<OfBlueprint>('/v1/blueprints/:name/left-out', async ({ params: { name } }): Promise<LeftOut[]> => {
    const selection = await selectionOf(context, name)
    const stack = await context.store.readJson<Stack>(selection.stack)
    const components = await Promise.all(stack.components.map((ref) => loadComponent(ref, context.store)))
    return whatIsLeftOut(selection, components).map(({ name, version, files, bytes }) => ({
      component: name,
      version,
      files,
      bytes,
    }))
  })

  app.post<OfBlueprint>('/v1/blueprints/:name/observe', async ({ params: { name }, body }, reply) => {
    const options = parseRequest(observeBody, body ?? {})
    await wovenBlueprint(context, name)
    const job = { kind: 'observe', blueprint: name, ...options } as const
    return streamJob(reply, (progress, signal) => workshop.run(job, progress, signal))
  })

  app.post<OfBlueprint>('/v1/blueprints/:name/compose', async ({ params: { name }, body }, reply) => {
    const options = parseRequest(composeBody, body)
    await appliedBlueprint(context, name)
    const job = { kind: 'compose', blueprint: name, ...options } as const
    return streamJob(reply, async (progress, signal) => {
      const report = await workshop.run(job, progress, signal)
      await pipeline.wake()
      return report
    })
  })
}

const pointers = (channels: Awaited<ReturnType<typeof getChannels>>) =>
  Object.fromEntries(Object.entries(channels).map(([channel, { digest }]) => [channel, digest]))

async function selectionOf(context: Context, name: string): Promise<Selection> {
  const { record } = await appliedBlueprint(context, name)
  if (!record.selectionDigest) {
    throw new BootloomError('NOT_COMPOSED', `${name} has no selection yet`, {
      hint: `Run \`bootloom compose ${name}\`.`,
    })
  }
  return context.store.readJson<Selection>(record.selectionDigest)
}
