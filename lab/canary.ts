import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import type { ComposeReport } from '../src/change/report.ts'
import { BootloomError } from '../src/config/errors.ts'
import type { OnProgress } from '../src/config/progress.ts'
import { ApiClient } from '../src/http/api-client.ts'
import type { Change } from '../src/state/changes.ts'
import { layOut } from './blueprint.ts'
import { addressOf, type WatchedBoot, watchBoot } from './boot-watch.ts'
import { type Blueprint, kinds, patient } from './broken.ts'
import { fetchInside } from './fetch.ts'
import { down, startControl, up } from './lab.ts'
import { macOf, startNode } from './node.ts'
import { paths, placeOf } from './place.ts'
import { runningAs } from './processes.ts'
import { becomeRoot } from './root.ts'
import { until } from './wait.ts'

/**
 * `npm run prove:canary [KIND…]`: a node serves Apache, and is the canary of its blueprint. Each new bundle is tried on it,
 * nobody touching it: one that is as it should be comes to `stable`, and the canary goes on with it; one that is broken, or
 * answers otherwise, is held, and the canary serves the bundle before again. One line of JSON for each.
 */
const wanted = process.argv.slice(2)
const chosen = wanted.length > 0 ? wanted : ['kernel panics', 'a library that is not there', 'another answer']
for (const kind of chosen) {
  if (!kinds[kind]) throw new BootloomError('USAGE', `kinds: ${Object.keys(kinds).join(', ')}`, { where: kind })
}

/** Milliseconds. */
const patience = 600_000
const mac = macOf(1)
const settings = {
  fleet: { heartbeat: 2, deadline: 120 },
  verify: { by: 'canary', canary: mac, canaryDeadline: 240 },
}

interface Shown {
  readonly boots: readonly (WatchedBoot & { readonly openedAt: number; readonly blueprint?: string })[]
}
type Part = Change['parts'][number]

await becomeRoot()
const place = placeOf({ name: `bootloom-canary-${process.pid}` })
const api = new ApiClient(paths.api(place))
let told = ''
const onStep: OnProgress = ({ step }) => {
  if (step !== told) console.error(`  ${step}`)
  told = step
}
await up(place, { held: true, settings, progress: onStep })
try {
  const { yaml, directory, site } = await layOut(place, 'apache')
  const plain = parse(yaml) as Blueprint
  await api.request('POST', '/v1/blueprints', { yaml, directory })
  await api.job('POST', '/v1/blueprints/apache/observe', {}, onStep)
  await api.job('POST', '/v1/blueprints/apache/compose', { level: 'fast', replay: false }, onStep)
  await intoTheNetwork()
  await api.request('PUT', `/v1/nodes/${mac}`, { blueprint: 'apache' })
  const since = Date.now()
  const node = await startNode(place, { index: 1, memory: 256 })
  await watchBoot(api, node, { since, timeout: patience })
  console.error(`  the canary serves after ${seconds(since)} s`)
  const gated = { ...plain, verify: patient }
  await api.request('POST', '/v1/blueprints', { yaml: stringify(gated), directory })

  await writeFile(join(site!, 'about.html'), 'the next one\n')
  const good = await tried('as it should be', since)
  if (good.state !== 'promoted' || good.page !== 'the next one') process.exitCode = 1
  for (const kind of chosen) {
    const began = Date.now()
    await api.request('POST', '/v1/blueprints', { yaml: stringify(kinds[kind]!(gated)), directory })
    await api.job<ComposeReport>('POST', '/v1/blueprints/apache/compose', { level: 'fast', replay: false }, onStep)
    const found = await tried(kind, began)
    if (found.state !== 'held' || found.page !== 'the next one') process.exitCode = 1
    await api.request('POST', '/v1/blueprints', { yaml: stringify(gated), directory })
  }
  await node.stop()
} finally {
  await api.close()
  await down(place)
  await rm(place.directory, { recursive: true, force: true })
}

/** What weaves may use the machine's network; what asks the canary stands in the nodes'. */
async function intoTheNetwork(): Promise<void> {
  process.kill(runningAs(place, 'control')!.pid, 'SIGKILL')
  await until(
    'the server has ended',
    async () => (runningAs(place, 'control') ? { seen: 'it runs' } : { found: true }),
    { timeout: 10_000 },
  )
  await startControl(place, undefined, true)
}

/** Waits for the newest change to end, and until the canary runs what `stable` points to; then asks it for its page. */
async function tried(kind: string, since: number) {
  let last = ''
  const part = await until(
    'the change has ended',
    () =>
      ended(since, (state) => {
        if (state !== last) console.error(`  ${kind}: ${state}`)
        last = state
      }),
    { timeout: patience },
  )
  const { state, why, verified } = part
  const decided = seconds(since)
  const address = await until('the canary runs what it is assigned', serving, { timeout: patience })
  const { body } = await fetchInside(place.name, `http://${address}/about.html`, { patience: 20_000 })
  const found = {
    kind,
    state,
    ...(why ? { why } : {}),
    ...verified,
    seconds: decided,
    back: seconds(since),
    page: body.trim(),
  }
  console.log(JSON.stringify(found))
  return found
}

async function ended(since: number, tell: (state: string) => void) {
  const [change] = await api.request<Change[]>('GET', '/v1/changes?count=1')
  const part = change && change.at >= since ? change.parts[0] : undefined
  tell(part?.state ?? 'no change yet')
  const isOpen = (one: Part) => ['detected', 'woven', 'replayed', 'verified'].includes(one.state)
  return part && !isOpen(part) ? { found: part } : { seen: part?.state ?? 'no change yet' }
}

/** The canary's address, once it has its own assignment and is ready with what `stable` points to. */
async function serving() {
  const channels = await api.request<{ blueprint: string; stable: string }[]>('GET', '/v1/channels')
  const nodes = await api.request<{ mac: string; currency?: { assigned?: object } }[]>('GET', '/v1/nodes')
  const assigned = nodes.find((one) => one.mac === mac)?.currency?.assigned
  const { stable } = channels.find(({ blueprint }) => blueprint === 'apache')!
  const { boots } = await api.request<Shown>('GET', `/v1/nodes/${mac}`)
  const boot = boots[0]
  const own = assigned !== undefined && 'channel' in assigned
  const address = boot && addressOf(boot)
  if (own && boot?.bundle === stable && boot.outcome === 'ready' && address) return { found: address }
  return { seen: `${own ? '' : 'lent, '}${boot?.outcome ?? 'booting'} with ${boot?.bundle?.slice(7, 19)}` }
}

function seconds(since: number): number {
  return Math.round((Date.now() - since) / 1000)
}
