import { randomBytes } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ComposeReport } from '../src/change/report.ts'
import type { OnProgress } from '../src/config/progress.ts'
import { ApiClient } from '../src/http/api-client.ts'
import type { Rollout, RolloutNode } from '../src/state/rollouts.ts'
import { layOut } from './blueprint.ts'
import { addressOf, type WatchedBoot, watchBoot } from './boot-watch.ts'
import { fetchInside } from './fetch.ts'
import { down, up } from './lab.ts'
import { type LabNode, macOf, startNode } from './node.ts'
import { paths, placeOf } from './place.ts'
import { becomeRoot } from './root.ts'
import { until } from './wait.ts'

/**
 * `npm run prove:rollout [NODES]`: eight nodes serve Apache; its next bundle holds a file that does not fit the memory of one of them. The
 * bundle is rolled out: the rollout must stop at that node, and all eight serve the old page again, nobody touching
 * them. Then the file is taken out and the page changed: it must reach all eight. One line of JSON for each.
 */
const count = Number(process.argv[2] ?? 8)
/** MiB: of the node that is too small, and of the others. */
const memory = { small: 128, other: 256 }
const tooLarge = 48 * 1024 * 1024
/** Milliseconds. */
const patience = 600_000

interface Shown {
  readonly boots: readonly WatchedBoot[]
}
interface Status {
  readonly rollout: Rollout
  readonly nodes: readonly RolloutNode[]
}

await becomeRoot()
const place = placeOf({ name: `bootloom-rollout-${process.pid}` })
const api = new ApiClient(paths.api(place))
let told = ''
const onStep: OnProgress = ({ step }) => {
  if (step !== told) console.error(`  ${step}`)
  told = step
}
/** Not the first node, which goes alone. */
const small = Math.min(4, count)
await up(place, { held: true, settings: { fleet: { heartbeat: 2, deadline: 120 } }, progress: onStep })
try {
  const { yaml, directory, site } = await layOut(place, 'apache')
  // Only the rollout brings a bundle to stable.
  await api.request('POST', '/v1/blueprints', { yaml: `${yaml}\npromote: manual\n`, directory })
  await api.job('POST', '/v1/blueprints/apache/observe', {}, onStep)
  const first = await weave()
  await api.request('POST', '/v1/channels/apache/stable', { digest: first })
  const indices = Array.from({ length: count }, (_, i) => i + 1)
  for (const index of indices) await api.request('PUT', `/v1/nodes/${macOf(index)}`, { blueprint: 'apache' })
  const since = Date.now()
  const nodes = await Promise.all(
    indices.map((index) => startNode(place, { index, memory: index === small ? memory.small : memory.other })),
  )
  await Promise.all(nodes.map((node) => watchBoot(api, node, { since, timeout: patience })))
  console.error(`  ${count} nodes serve after ${seconds(since)} s`)

  await writeFile(join(site!, 'large'), randomBytes(tooLarge))
  const bad = await weave()
  const stopped = await rollOut('one node does not come up', bad, nodes)
  const failed = stopped.nodes.filter((node) => node.failed !== undefined).map(({ mac }) => mac)
  if (stopped.rollout.state !== 'stopped' || failed.join() !== macOf(small)) process.exitCode = 1
  if ((await runningWith(first)) !== count) process.exitCode = 1

  await rm(join(site!, 'large'))
  await writeFile(join(site!, 'next.html'), 'the next one\n')
  const next = await weave()
  const done = await rollOut('all come up', next, nodes)
  if (done.rollout.state !== 'done' || (await runningWith(next)) !== count) process.exitCode = 1
  for (const node of nodes) await node.stop()
} finally {
  await api.close()
  await down(place)
  await rm(place.directory, { recursive: true, force: true })
}

async function weave(): Promise<string> {
  // The site is watched, and may have been woven already; a replay has nothing to say about a file more.
  const options = { level: 'fast', replay: false }
  return (await api.job<ComposeReport>('POST', '/v1/blueprints/apache/compose', options, () => {})).digest
}

async function rollOut(kind: string, to: string, nodes: readonly LabNode[]): Promise<Status> {
  const since = Date.now()
  await api.request('POST', '/v1/rollouts', { blueprint: 'apache', to, batch: '25%', deadline: 120, canary: macOf(1) })
  const shown = new Map<string, string>()
  const look = async () => {
    const status = await api.request<Status>('GET', '/v1/rollouts/apache')
    for (const { mac, way, step, failed } of status.nodes) {
      const words = `${mac} ${way} ${step}${failed === undefined ? '' : `: ${failed}`}`
      if (shown.get(mac) !== words) console.error(`  ${seconds(since)} s ${words}`)
      shown.set(mac, words)
    }
    return status.rollout.endedAt === undefined ? { seen: [...shown.values()].join('; ') } : { found: status }
  }
  const status = await until('the rollout ends', look, { timeout: patience })
  const { state, reason } = status.rollout
  const serve = await serving(nodes)
  console.log(JSON.stringify({ kind, nodes: count, state, seconds: seconds(since), serve, reason }))
  if (serve !== count) process.exitCode = 1
  return status
}

/** How many answer with the page of the site. */
async function serving(nodes: readonly LabNode[]): Promise<number> {
  const answers = await Promise.all(
    nodes.map(async ({ settings: { mac } }) => {
      const { boots } = await api.request<Shown>('GET', `/v1/nodes/${mac}`)
      const address = boots.flatMap((boot) => addressOf(boot) ?? [])[0]
      const page = await fetchInside(place.name, `http://${address}/`, { patience: 20_000 }).catch(() => undefined)
      return page?.body.includes('Bootloom') === true
    }),
  )
  return answers.filter(Boolean).length
}

async function runningWith(bundle: string): Promise<number> {
  const nodes = await api.request<{ currency?: { running?: { bundle: string } } }[]>('GET', '/v1/nodes')
  return nodes.filter(({ currency }) => currency?.running?.bundle === bundle).length
}

function seconds(since: number): number {
  return Math.round((Date.now() - since) / 100) / 10
}
