import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import type { Profile } from '../src/blueprint/profile.ts'
import type { Selection } from '../src/blueprint/selection.ts'
import type { ComposeReport, ObserveReport } from '../src/change/report.ts'
import { BootloomError } from '../src/config/errors.ts'
import { ApiClient } from '../src/http/api-client.ts'
import { inside } from '../src/machine/namespace.ts'
import { end } from '../src/machine/process.ts'
import type { NodeRecord } from '../src/state/nodes.ts'
import type { Digest } from '../src/store/digest.ts'
import { Store } from '../src/store/store.ts'
import { layOut } from './blueprint.ts'
import { addressOf, type WatchedBoot, watchBoot } from './boot-watch.ts'
import { down, startBoot, startControl, up } from './lab.ts'
import { type LabNode, macOf, startNode } from './node.ts'
import { paths, placeOf } from './place.ts'
import { runningAs } from './processes.ts'
import { becomeRoot } from './root.ts'

/**
 * `npm run prove:learn [redis] [nginx] [python-flask]`: an emulated node that is assigned a bundle learns from its full stack under
 * traffic from beside it; with redis, both servers are restarted meanwhile. Then it boots what it is assigned again, and
 * after that the bundle that is woven from what it learned alone, and answers. What strace and the node each miss of the
 * other is told. The last line is one JSON object.
 */
interface Application {
  /** Answers everything that the traffic asks, or throws. */
  readonly drive: (address: string) => Promise<void>
  readonly restarts: boolean
  /** A program that it runs at its stop alone: the node is told to boot anew while it learns. */
  readonly atStop?: string
}

const applications: Readonly<Record<string, Application>> = {
  redis: {
    restarts: true,
    async drive(address) {
      const lines = ['SET greeting hello', 'GET greeting', 'INFO', 'CONFIG GET maxmemory', 'SAVE', 'QUIT']
      const said = await beside(['busybox', 'nc', '-w', '5', address, '6379'], `${lines.join('\r\n')}\r\n`)
      if (!/hello[\s\S]*redis_version[\s\S]*maxmemory/.test(said)) throw unanswered(said)
    },
  },
  nginx: {
    restarts: false,
    atStop: '/usr/sbin/start-stop-daemon',
    async drive(address) {
      const page = await beside(['curl', '-s', '-m', '10', `http://${address}/`])
      const style = await beside(['curl', '-s', '-m', '10', `http://${address}/style.css`])
      const status = await beside([
        'curl',
        '-s',
        '-m',
        '10',
        '-o',
        '/dev/null',
        '-w',
        '%{http_code}',
        `http://${address}/no`,
      ])
      if (!page.includes('Bootloom') || !style.includes('body') || status !== '404') throw unanswered(page)
    },
  },
  'python-flask': {
    restarts: false,
    async drive(address) {
      const get = (path: string) => beside(['curl', '-s', '-m', '20', `http://${address}:8000${path}`])
      const said = `${await get('/')} ${await get('/time/Asia/Tokyo')} ${await get('/json?name=Ada')} ${await get('/error')}`
      if (!/Bootloom[\s\S]*\+09:00[\s\S]*Ada/.test(said)) throw unanswered(said)
    },
  },
}

const wanted = process.argv.slice(2)
for (const name of wanted) {
  if (!applications[name]) throw new BootloomError('USAGE', `applications: ${Object.keys(applications).join(', ')}`)
}
await becomeRoot()
const place = placeOf({ name: 'bootloom-learn' })
const mac = macOf(1)
const launcher = fileURLToPath(new URL('../src/bootloom.sh', import.meta.url))
const results: Record<string, unknown> = {}
let api = new ApiClient(paths.api(place))

await up(place, { held: true, progress: ({ step }) => console.error(`  ${step}`) })
try {
  const store = await Store.open(join(paths.state(place), 'store'))
  for (const [name, application] of Object.entries(applications)) {
    if (wanted.length === 0 || wanted.includes(name)) results[name] = await prove(name, application, store)
  }
  console.log(JSON.stringify({ prove: 'learn', results }))
} finally {
  await api.close()
  await down(place)
}

async function prove(name: string, { drive, restarts, atStop }: Application, store: Store) {
  const { yaml, directory } = await layOut(place, name)
  await api.request('POST', '/v1/blueprints', { yaml, directory })
  await api.job('POST', `/v1/blueprints/${name}/observe`, { fresh: true }, () => {})
  const assigned = (await compose(name)).digest
  const byStrace = await known(name, store)
  await api.request('PUT', `/v1/nodes/${mac}`, { blueprint: name })

  console.error(`  ${name}: the full stack is given to the node`)
  const asked = performance.now()
  const learning = cli('observe', name, '--method', 'node', '--node', mac, '--fresh', '--watch', '--json')
  await until(async () => (await shown()).node.learning !== undefined)
  const secondsToGive = seconds(asked)
  const since = Date.now()
  const node = await startNode(place, { index: 1, memory: 1024 })
  const full = await watchBoot(api, node, { since, timeout: 240_000 })
  if (full.bundle === assigned) throw new BootloomError('LAB_FAILED', 'the node did not get the full stack')
  for (let round = 0; round < 3; round++) await drive(addressOf(full)!)
  if (restarts) await restart()
  await drive(addressOf(full)!)
  if (atStop) await bootedAnew(node)
  const report = await ended(name, learning, restarts)
  if ((await shown()).node.learning) throw new BootloomError('LAB_FAILED', 'the node learns on')
  const byNode = await known(name, store)

  const back = await rebooted(node)
  if (back.bundle !== assigned) throw new BootloomError('LAB_FAILED', 'the node does not boot what it is assigned')
  console.error(`  ${name}: weaving from what was learned alone`)
  const woven = await compose(name, 5)
  const mended = woven.replay?.rounds.flatMap(({ verdict }) => verdict.lacking.map(({ path }) => path)) ?? []
  const alone = await rebooted(node)
  if (alone.bundle !== woven.digest) throw new BootloomError('LAB_FAILED', 'the node does not boot what was woven')
  await drive(addressOf(alone)!)
  await node.stop()
  const [learned, traced] = [touchedOf(byNode), touchedOf(byStrace)]
  if (atStop && !learned.has(atStop)) throw new BootloomError('LAB_FAILED', `${atStop} was not learned`)
  const selected = { learned: await selectedOf(name, store), traced: byStrace.selected }
  const result = {
    secondsToGive,
    secondsToReady: readyAfter(full),
    learned: learned.size,
    traced: traced.size,
    onlyTraced: [...traced].filter((path) => !learned.has(path)),
    onlyLearned: [...learned].filter((path) => !traced.has(path)).length,
    selectedOnlyByTrace: [...selected.traced].filter((path) => !selected.learned.has(path)),
    selectedOnlyByLearning: [...selected.learned].filter((path) => !selected.traced.has(path)),
    reported: report.paths,
    replayMended: mended,
    answers: true,
  }
  console.error(JSON.stringify(result, undefined, 1))
  return result
}

function cli(...words: string[]) {
  return execa('sh', [launcher, '--state', paths.state(place), ...words], { reject: false, stdin: 'ignore' })
}

/** By Ctrl-C; or by --stop, where the command has lost its server meanwhile. */
async function ended(name: string, learning: ReturnType<typeof cli>, isLost: boolean): Promise<ObserveReport> {
  if (!isLost) {
    learning.kill('SIGINT')
    const { stdout, stderr } = await learning
    return parsed<ObserveReport>(stdout, stderr)
  }
  await learning
  const { stdout, stderr } = await cli('observe', name, '--stop', '--json')
  return parsed<ObserveReport[]>(stdout, stderr)[0]!
}

function parsed<T>(stdout: string, stderr: string): T {
  try {
    return JSON.parse(stdout) as T
  } catch (cause) {
    throw new BootloomError('LAB_FAILED', 'the command printed no result', { details: [stdout, stderr], cause })
  }
}

async function restart(): Promise<void> {
  console.error('  both servers end, and start again')
  await api.close()
  for (const what of ['boot', 'control']) await end(runningAs(place, what)!, 10_000)
  await startControl(place)
  await startBoot(place)
  api = new ApiClient(paths.api(place))
}

/** In good order, so that what its services touch at their stop is learned; into the full stack again. */
async function bootedAnew(node: LabNode): Promise<void> {
  console.error('  the node is told to boot anew')
  const since = Date.now()
  const { exitCode, stderr } = await cli('node', 'reboot', mac)
  if (exitCode !== 0) throw unanswered(stderr)
  await watchBoot(api, node, { since, timeout: 240_000 })
}

async function rebooted(node: LabNode): Promise<WatchedBoot> {
  const since = Date.now()
  await node.reset()
  return watchBoot(api, node, { since, timeout: 240_000 })
}

function compose(name: string, rounds?: number): Promise<ComposeReport> {
  return api.job<ComposeReport>('POST', `/v1/blueprints/${name}/compose`, { level: 'fast', rounds }, () => {})
}

async function known(name: string, store: Store): Promise<{ profile: Profile; selected: ReadonlySet<string> }> {
  const { profileDigest } = await api.request<{ profileDigest: Digest }>('GET', `/v1/blueprints/${name}`)
  return { profile: await store.readJson<Profile>(profileDigest), selected: await selectedOf(name, store) }
}

async function selectedOf(name: string, store: Store): Promise<ReadonlySet<string>> {
  const { selectionDigest } = await api.request<{ selectionDigest: Digest }>('GET', `/v1/blueprints/${name}`)
  const { parts } = await store.readJson<Selection>(selectionDigest)
  return new Set(parts.flatMap(({ files }) => files.flatMap(({ path, type }) => (type === 'dir' ? [] : [path]))))
}

function touchedOf({ profile }: { profile: Profile }): ReadonlySet<string> {
  return new Set(profile.paths.flatMap(({ path, created }) => (created ? [] : [path])))
}

function shown(): Promise<{ node: NodeRecord }> {
  return api.request('GET', `/v1/nodes/${mac}`)
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 300_000; !(await holds()); await sleep(500)) {
    if (Date.now() > deadline) throw new BootloomError('LAB_TIMEOUT', 'the full stack was not woven in five minutes')
  }
}

async function beside(command: readonly string[], input = ''): Promise<string> {
  const [file, ...words] = inside(place.name, command)
  return (await execa(file, words, { input, reject: false, timeout: 20_000 })).stdout
}

function unanswered(said: string): BootloomError {
  return new BootloomError('LAB_FAILED', 'the node did not answer', { details: [said] })
}

function seconds(from: number): number {
  return Math.round((performance.now() - from) / 100) / 10
}

function readyAfter({ stages }: WatchedBoot): number | undefined {
  const [first, ready] = [stages[0], stages.find(({ stage }) => stage === 'ready')]
  return first && ready && Math.round((ready.at - first.at) / 100) / 10
}
