import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { type Method, observe } from '../../src/blueprint/observe/observe.ts'
import { placeTree } from '../../src/blueprint/observe/place.ts'
import { Stage } from '../../src/blueprint/observe/stage.ts'
import { staged } from '../../src/blueprint/observe/staged.ts'
import { Touched } from '../../src/blueprint/observe/touched.ts'
import { startWatcher } from '../../src/blueprint/observe/watcher.ts'
import { servicesOf } from '../../src/blueprint/services.ts'
import { World } from '../../src/blueprint/world.ts'
import { applyBlueprint, wovenBlueprint } from '../../src/change/applied.ts'
import { type Context, openContext } from '../../src/change/context.ts'
import { observeBlueprint } from '../../src/change/observe.ts'
import { componentsOf, currentStack } from '../../src/change/work.ts'
import { silent } from '../../src/config/log.ts'
import { settingsSchema } from '../../src/config/settings.ts'
import { ensureInstalled } from '../../src/repository/update.ts'
import { paths, placeOf } from '../place.ts'
import { becomeRoot } from '../root.ts'
import { atMost, type Measure, median, report, timesMore } from './report.ts'

/**
 * How long each ready-made blueprint is watched once its stack is installed, what watching costs an Apache under load,
 * and what fanotify does not see there.
 */
const templates = fileURLToPath(new URL('../../templates/blueprints', import.meta.url))
const rounds = 3
const loadSeconds = 4

await becomeRoot()
const context = await openContext(
  settingsSchema.parse({ state: paths.state(placeOf({ name: 'bootloom-observe' })) }),
  silent,
)
const work = { context, progress: () => {}, signal: new AbortController().signal }
try {
  const asked = process.argv.slice(2)
  const all = (await readdir(templates)).filter((name) => name.endsWith('.yaml')).map((name) => name.slice(0, -5))
  const results: Measure[] = []
  for (const name of asked.length > 0 ? asked : all.sort()) results.push(await observing(name))
  results.push(...(await underLoad()))
  report('observe', results)
} finally {
  await context.close()
}

/** The second of two runs: the first installs the stack. */
async function observing(name: string): Promise<Measure> {
  console.error(`  ${name}`)
  await apply(name)
  await observeBlueprint(name, {}, work)
  const { seconds } = await observeBlueprint(name, {}, work)
  return atMost(`${name}: watched, once its stack is installed`, 's', seconds, 10)
}

async function apply(name: string): Promise<void> {
  await applyBlueprint(context, { yaml: await readFile(join(templates, `${name}.yaml`), 'utf8'), directory: templates })
}

async function underLoad(): Promise<Measure[]> {
  await apply('apache')
  const served: Record<'unwatched' | Method, number[]> = { unwatched: [], strace: [], fanotify: [] }
  const input = await apache(context)
  for (let round = 0; round < rounds; round++) {
    for (const how of ['unwatched', 'strace', 'fanotify'] as const) {
      served[how].push(await requestsPerSecond(input, how))
      console.error(`  apache ${how}: ${Math.round(served[how].at(-1)!)} requests/s`)
    }
  }
  const [bare, strace, fanotify] = [median(served.unwatched), median(served.strace), median(served.fanotify)]
  const seen = async (method: Method) => (await observe({ ...input, method }, () => {})).profile.paths
  const byOpens = new Set((await seen('fanotify')).map(({ path }) => path))
  const unseen = (await seen('strace')).filter(({ path }) => !byOpens.has(path))
  for (const { path, how } of unseen) console.error(`  not seen by fanotify: ${path} (${how.join(', ')})`)
  const opened = unseen.filter(({ how, created }) => !created && (how.includes('open') || how.includes('exec')))
  return [
    atMost('Apache under load, fewer requests/s by fanotify', '%', Math.max(0, (1 - fanotify / bare) * 100), 5),
    timesMore('Apache under load, requests/s by fanotify, against strace', '1/s', fanotify, strace, 1),
    atMost('apache: paths that strace sees opened and fanotify does not', '', opened.length, 0),
    atMost('apache: all paths that strace sees and fanotify does not', '', unseen.length, 10),
  ]
}

async function apache({ store, log }: Context) {
  const applied = await wovenBlueprint(context, 'apache')
  const { stack, digest: stackDigest } = await currentStack(applied, work)
  const root = await ensureInstalled(stack, context, work.progress, work.signal)
  const components = await componentsOf(stack, context)
  const { blueprint } = applied
  const services = await servicesOf(blueprint, components, store)
  const trees = components.filter(({ kind }) => kind === 'tree')
  return { blueprint, services, stackDigest, root, trees, store, log }
}

async function requestsPerSecond(
  { blueprint, services, root, trees, store }: Awaited<ReturnType<typeof apache>>,
  how: 'unwatched' | Method,
): Promise<number> {
  const stage = await Stage.open(root, { hostname: 'bench', traced: how === 'strace' })
  return staged(stage, { blueprint, services, progress: () => {} }, async (run) => {
    for (const tree of trees) await placeTree(join(stage.directory, 'root'), tree, store)
    const touched = new Touched(World.fromListing(await stage.list('before')))
    await using _watcher = how === 'unwatched' ? undefined : await startWatcher(stage, how, touched, false)
    await run.start()
    const inside = ['nsenter', `--net=/proc/${stage.pid}/ns/net`, '--']
    const load = ['wrk', '-t1', '-c8', `-d${loadSeconds}s`, 'http://127.0.0.1/']
    const { stdout } = await execa(inside[0]!, [...inside.slice(1), ...load])
    await run.stop()
    if (/Non-2xx/.test(stdout)) throw new Error(stdout)
    return Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)![1])
  })
}
