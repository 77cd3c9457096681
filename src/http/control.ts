import { join } from 'node:path'
import { type Context, openContext } from '../change/context.ts'
import { HardwareWatch } from '../change/hardware-watch.ts'
import { Lessons } from '../change/lessons.ts'
import { Pipeline } from '../change/pipeline/pipeline.ts'
import { TreeWatch } from '../change/watch.ts'
import { Workshop } from '../change/workshop.ts'
import type { Logger } from '../config/log.ts'
import type { Settings } from '../config/settings.ts'
import { RolloutDriver } from '../fleet/rollout/driver.ts'
import { blueprintRoutes } from './api/blueprints.ts'
import { bundleRoutes } from './api/bundles.ts'
import { changeRoutes } from './api/changes.ts'
import { driftRoutes } from './api/drift.ts'
import { impactRoutes } from './api/impact.ts'
import { kernelRoutes } from './api/kernels.ts'
import { learnApiRoutes } from './api/learn.ts'
import { missApiRoutes } from './api/misses.ts'
import { pinRoutes } from './api/pins.ts'
import { reasonRoutes } from './api/reasons.ts'
import { repositoryRoutes } from './api/repository.ts'
import { rolloutRoutes } from './api/rollouts.ts'
import { buildApi, listenApi } from './api-server.ts'

interface ControlOptions {
  /** Watch the trees of applied blueprints, and weave what changes. A single command does not. */
  readonly watching?: boolean
}

/** The admins' side: the API on the state directory's socket, the workshop behind it, and the watch over trees. */
export async function startControl(
  settings: Settings,
  log: Logger,
  { watching = false }: ControlOptions = {},
): Promise<{ close(): Promise<void> }> {
  const context = await openContext(settings, log)
  try {
    return await serve(context, watching)
  } catch (error) {
    await context.close()
    throw error
  }
}

async function serve(context: Context, watching: boolean): Promise<{ close(): Promise<void> }> {
  const { settings, log } = context
  const workshop = new Workshop(settings, log)
  const pipeline = new Pipeline(context, workshop)
  const watch = watching ? new TreeWatch(context, workshop, () => void pipeline.wake()) : undefined
  const lessons = new Lessons(context, workshop)
  if (watching) lessons.watch()
  const hardware = watching ? new HardwareWatch(context, workshop) : undefined
  const onApplied = async () => watch?.sync()
  const app = await buildApi({
    ...context,
    routes: [
      (scope) => blueprintRoutes(scope, context, workshop, pipeline, onApplied),
      (scope) => reasonRoutes(scope, context),
      (scope) => missApiRoutes(scope, context),
      (scope) => learnApiRoutes(scope, context, lessons),
      (scope) => bundleRoutes(scope, context, workshop),
      (scope) => repositoryRoutes(scope, context, workshop, pipeline),
      (scope) => impactRoutes(scope, context, workshop),
      (scope) => kernelRoutes(scope, context, workshop),
      (scope) => pinRoutes(scope, context),
      (scope) => rolloutRoutes(scope, context),
      (scope) => driftRoutes(scope, context),
      (scope) => changeRoutes(scope, context, pipeline),
    ],
  })
  const api = await listenApi(app, join(settings.state, 'api.sock'), settings.api.loopbackPort)
  await watch?.sync()
  if (watching) await pipeline.start()
  log.info({ event: 'api-listening', socket: api.socket })
  const { state, store } = context
  const onEnded = (blueprint: string) => void pipeline.rolledOut(blueprint)
  const rollouts = watching ? new RolloutDriver({ redis: state.redis, store, settings, log, onEnded }) : undefined
  return {
    async close() {
      await rollouts?.close()
      watch?.close()
      lessons.close()
      hardware?.close()
      await api.close()
      await pipeline.close()
      await workshop.close()
      await context.close()
    },
  }
}
