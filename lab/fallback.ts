import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import type { ComposeReport } from '../src/change/report.ts'
import { BootloomError } from '../src/config/errors.ts'
import type { OnProgress } from '../src/config/progress.ts'
import { ApiClient } from '../src/http/api-client.ts'
import { layOut } from './blueprint.ts'
import { addressOf, type WatchedBoot, watchBoot } from './boot-watch.ts'
import { type Blueprint, kinds } from './broken.ts'
import { fetchInside } from './fetch.ts'
import { down, up } from './lab.ts'
import { type LabNode, macOf, startNode } from './node.ts'
import { paths, placeOf } from './place.ts'
import { becomeRoot } from './root.ts'
import { until } from './wait.ts'

/**
 * `npm run prove:fallback [KIND…]`: a node is ready with a good Apache bundle; then one is published with which it does
 * not come up, and it is restarted. Nobody touches it from then on: after two tries it must serve the good bundle again.
 * One line of JSON for each kind of failure.
 */
const failures = {
  'kernel panics': kinds['kernel panics']!,
  'init ends': kinds['init ends']!,
  'network never comes up': kinds['network never comes up']!,
  'application ends': kinds['no configuration']!,
  // The probe of the blueprint is not answered as it must be: only the deadline ends such a boot.
  'application never answers': (blueprint: Blueprint) => blueprint,
}

/** Seconds: short, for the sake of the last kind. */
const deadline = 90
const tries = 2
/** Milliseconds. */
const patience = 600_000

interface Shown {
  readonly boots: readonly (WatchedBoot & { readonly openedAt: number })[]
}

const wanted = process.argv.slice(2)
for (const kind of wanted) {
  if (!(kind in failures))
    throw new BootloomError('USAGE', `kinds: ${Object.keys(failures).join(', ')}`, { where: kind })
}
await becomeRoot()
const place = placeOf({ name: `bootloom-fallback-${process.pid}` })
const api = new ApiClient(paths.api(place))
let told = ''
const onStep: OnProgress = ({ step }) => {
  if (step !== told) console.error(`  ${step}`)
  told = step
}
const settings = { fleet: { tries, deadline } }
await up(place, { held: true, settings, progress: onStep })
try {
  const { yaml, directory, site } = await layOut(place, 'apache')
  const page = join(site!, 'index.html')
  const [blueprint, text] = [parse(yaml) as Blueprint, await readFile(page, 'utf8')]
  const mac = macOf(1)
  await apply(blueprint, directory)
  await api.job('POST', '/v1/blueprints/apache/observe', {}, onStep)
  await api.request('PUT', `/v1/nodes/${mac}`, { blueprint: 'apache' })
  const good = await weave()
  const since = Date.now()
  const node = await startNode(place, { index: 1 })
  await watchBoot(api, node, { since, timeout: patience })
  for (const [kind, edit] of Object.entries(failures)) {
    if (wanted.length > 0 && !wanted.includes(kind)) continue
    const silent = kind === 'application never answers'
    if (silent) await writeFile(page, text.replaceAll('Bootloom', 'Something else'))
    await apply(edit(blueprint), directory)
    const bad = await weave()
    if (bad === good) throw new BootloomError('INTERNAL', `the bundle of '${kind}' is the good one`)
    const found = await restarted(node, good, bad)
    console.log(JSON.stringify({ kind, ...found }))
    if (!found.held || !found.told || found.tries !== tries || !found.serves) process.exitCode = 1
    if (silent) await writeFile(page, text)
  }
  await node.stop()
} finally {
  await api.close()
  await down(place)
  await rm(place.directory, { recursive: true, force: true })
}

async function apply(blueprint: Blueprint, directory: string): Promise<void> {
  await api.request('POST', '/v1/blueprints', { yaml: stringify(blueprint), directory })
}

async function weave(): Promise<string> {
  // A replay would find out that the application does not come up, and publish nothing.
  const options = { level: 'fast', replay: false }
  return (await api.job<ComposeReport>('POST', '/v1/blueprints/apache/compose', options, () => {})).digest
}

/** Presses the reset button once, and waits for the good bundle. */
async function restarted(node: LabNode, good: string, bad: string) {
  const since = Date.now()
  await node.reset()
  const bootsSince = async () => {
    const { boots } = await api.request<Shown>('GET', `/v1/nodes/${node.settings.mac}`)
    return boots.filter(({ openedAt }) => openedAt >= since)
  }
  const look = async () => {
    if (!node.running) throw new BootloomError('LAB_FAILED', 'the virtual machine ended', { where: node.serial.path })
    const own = await bootsSince()
    const [newest] = own
    if (newest?.outcome === 'ready' && newest.bundle === good) return { found: own }
    return { seen: `boot ${own.length}, ${newest?.stages.at(-1)?.stage ?? 'no stage at all'}` }
  }
  const details = () => node.serial.text().trimEnd().split('\n').slice(-12)
  const own = await until('the node is back by itself', look, { timeout: patience, details })
  const events = await api.request<{ event: string; at: number; bundle?: string }[]>('GET', '/v1/events?count=100')
  const about = (name: string) => events.some(({ event, bundle }) => event === name && bundle === bad)
  const body = (await fetchInside(place.name, `http://${addressOf(own[0]!)}/`, { patience: 20_000 })).body
  return {
    tries: own.filter(({ bundle }) => bundle === bad).length,
    seconds: Math.round((Date.now() - since) / 1000),
    reasons: own.flatMap(({ reason }) => reason ?? []),
    serves: body.includes('Bootloom'),
    told: about('node-fell-back'),
    held: about('channel-held'),
  }
}
