import { createHash } from 'node:crypto'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { parse, stringify } from 'yaml'
import type { ListedMiss } from '../src/change/misses.ts'
import type { ComposeReport } from '../src/change/report.ts'
import { ApiClient } from '../src/http/api-client.ts'
import { inside } from '../src/machine/namespace.ts'
import { end } from '../src/machine/process.ts'
import { Store } from '../src/store/store.ts'
import { layOut } from './blueprint.ts'
import { addressOf, watchBoot } from './boot-watch.ts'
import { down, startBoot, up } from './lab.ts'
import { type LabNode, macOf, startNode } from './node.ts'
import { paths, placeOf } from './place.ts'
import { runningAs } from './processes.ts'
import { reachFiles } from './reach-files.ts'
import { becomeRoot } from './root.ts'

/**
 * `npm run prove:misses`: Debian's Apache on two emulated nodes. One is locked: an icon that nobody drove is missed,
 * listed with process and time, accepted, and there after a reboot. The other reaches back: code of a library that is in the
 * bundle by page runs when it is first called; an Apache module and a PHP extension that were never loaded are enabled
 * while it runs, and work on their first request; a server that is away and a damaged blob are errors within the deadline. What it does goes to stderr; the last line is one JSON object.
 */
await becomeRoot()
const place = placeOf({ name: `bootloom-misses-${process.pid}` })
const api = new ApiClient(paths.api(place))
const launcher = fileURLToPath(new URL('../src/bootloom.sh', import.meta.url))
const icon = '/usr/share/apache2/icons/text.gif'
const results: Record<string, unknown> = {}

function proven(what: string, holds: boolean, more: Record<string, unknown> = {}): void {
  console.error(
    `  ${holds ? 'holds' : 'DOES NOT HOLD'}: ${what} ${Object.keys(more).length > 0 ? JSON.stringify(more) : ''}`,
  )
  results[what] = { holds, ...more }
  if (!holds) process.exitCode = 1
}

async function weave(name: string, template: string, more: Record<string, unknown>): Promise<string> {
  const { directory, yaml: ready } = await layOut(place, template)
  const yaml = stringify({ ...(parse(ready) as object), name, ...more })
  await api.request('POST', '/v1/blueprints', { yaml, directory })
  const job = (what: string, body: object) =>
    api.job<ComposeReport>('POST', `/v1/blueprints/${name}/${what}`, body, () => {})
  console.error(`  ${name}: observing and weaving`)
  await job('observe', {})
  return (await job('compose', { level: 'fast' })).digest
}

async function powerOn(index: number, blueprint: string, memory = 320): Promise<{ node: LabNode; url: string }> {
  await api.request('PUT', `/v1/nodes/${macOf(index)}`, { blueprint })
  const since = Date.now()
  const node = await startNode(place, { index, memory })
  return { node, url: await untilReady(node, since) }
}

async function untilReady(node: LabNode, since: number): Promise<string> {
  return `http://${addressOf(await watchBoot(api, node, { since, timeout: 240_000 }))!}`
}

/** Status, headers and milliseconds of one GET from beside the node. */
async function get(url: string): Promise<{ status: number; head: string; took: number }> {
  const began = performance.now()
  const [file, ...words] = inside(place.name, ['curl', '-s', '-m', '30', '-D', '-', '-o', '/dev/null', url])
  const { stdout } = await execa(file, words, { reject: false })
  return {
    status: Number(/^HTTP\S+ (\d+)/.exec(stdout)?.[1]),
    head: stdout,
    took: Math.round(performance.now() - began),
  }
}

async function missOf(
  blueprint: string,
  path: string,
  holds = (_: ListedMiss) => true,
): Promise<ListedMiss | undefined> {
  for (let tries = 0; tries < 60; tries++) {
    const all = await api.request<ListedMiss[]>('GET', `/v1/blueprints/${blueprint}/misses`)
    const found = all.find((miss) => miss.path === path && holds(miss))
    if (found) return found
    await sleep(250)
  }
  return undefined
}

const cli = (...words: string[]) =>
  execa('sh', [launcher, '--state', paths.state(place), ...words], { reject: false, all: true })

async function locked(): Promise<void> {
  const before = await weave('apache-locked', 'apache', {})
  const { node, url } = await powerOn(1, 'apache-locked')
  const absent = await get(`${url}/icons/text.gif`)
  proven('locked: what the bundle lacks is not there', absent.status >= 400, { status: absent.status })
  const miss = await missOf('apache-locked', icon)
  proven('locked: it is reported with process, component and time', miss?.process === 'apache2', { ...miss })
  const listed = await cli('blueprint', 'misses', 'apache-locked')
  console.error(listed.all)
  proven('locked: it is listed', listed.all?.includes(icon) ?? false)
  const accepted = await cli('blueprint', 'misses', 'apache-locked', '--accept', icon, '--json')
  console.error(accepted.all)
  const { stable } = (await api.request<{ channels: { stable: string } }>('GET', '/v1/blueprints/apache-locked'))
    .channels
  proven('locked: --accept weaves a new bundle', accepted.exitCode === 0 && stable !== before)
  const since = Date.now()
  await node.reset()
  const again = await untilReady(node, since)
  proven('locked: it is there after a reboot', (await get(`${again}/icons/text.gif`)).status === 200)
  await node.stop()
}

async function reaching(): Promise<void> {
  await weave('apache-reach', 'apache-php', {
    stack: [
      {
        deb: {
          suite: 'bookworm',
          packages: ['apache2', 'libapache2-mod-php', 'php-sqlite3', 'php-mbstring', 'php-gd'],
        },
      },
      { tree: { path: './apache-php/site', at: '/var/www/html' } },
    ],
    onMiss: 'fetch',
    files: reachFiles,
  })
  const { node, url } = await powerOn(2, 'apache-reach', 512)
  const first = await get(`${url}/icons/text.gif`)
  const fetched = await missOf('apache-reach', icon)
  proven('reaching back: an icon comes with its first request', first.status === 200, {
    request: first.took,
    waited: fetched?.took,
  })
  await code(url)
  await module(url)
  await extension(url)
  await away(url)
  await damaged(url)
  const console_ = node.serial.text().match(/.*asked for.*/g) ?? []
  for (const line of console_) console.error(`  on its console: ${line}`)
  await node.stop()
}

async function module(url: string): Promise<void> {
  const without = await get(`${url}/`)
  const began = performance.now()
  await get(`${url}/enable/headers`)
  let answer = without
  while (!answer.head.includes('X-Module') && performance.now() - began < 30_000) answer = await get(`${url}/`)
  const seconds = (performance.now() - began) / 1000
  const library = '/usr/lib/apache2/modules/mod_headers.so'
  const miss = await missOf('apache-reach', library, ({ outcome }) => outcome === 'fetched')
  proven('reaching back: an Apache module never driven is enabled while it runs', answer.head.includes('X-Module'), {
    was: without.head.includes('X-Module'),
    waited: miss?.took,
    process: miss?.process,
    secondsUntilServed: Number(seconds.toFixed(2)),
  })
}

async function code(url: string): Promise<void> {
  const answer = await get(`${url}/digest.php`)
  const library = '/usr/lib/x86_64-linux-gnu/libcrypto.so.3'
  const miss = await missOf('apache-reach', library, ({ outcome }) => outcome === 'fetched')
  const expected = createHash('sha3-256').update('loom').digest('hex')
  const holds = answer.head.includes(`X-Digest: ${expected}`) && miss !== undefined
  proven('reaching back: code that was left out of a library runs when it is first called', holds, {
    waited: miss?.took,
    request: answer.took,
  })
}

async function extension(url: string): Promise<void> {
  const without = await get(`${url}/draw.php`)
  const began = performance.now()
  await get(`${url}/extend/gd`)
  let answer = without
  while (!answer.head.includes('X-Drawn: 89504e47') && performance.now() - began < 60_000) {
    answer = await get(`${url}/draw.php`)
  }
  const seconds = (performance.now() - began) / 1000
  // A node tells of misses once a second.
  await sleep(3000)
  const library = await missOf('apache-reach', '/usr/lib/php/20220829/gd.so', ({ outcome }) => outcome === 'fetched')
  const all = await api.request<ListedMiss[]>('GET', '/v1/blueprints/apache-reach/misses')
  const brought = all.filter(({ outcome, firstAt }) => outcome === 'fetched' && firstAt >= (library?.firstAt ?? 0))
  const holds = without.status === 500 && answer.status === 200 && answer.head.includes('X-Drawn: 89504e47')
  proven('reaching back: a PHP extension never driven is enabled while it runs, with its libraries', holds, {
    was: without.status,
    waited: library?.took,
    files: brought.length,
    waitedForAll: brought.reduce((sum, { took = 0 }) => sum + took, 0),
    request: answer.took,
    secondsUntilServed: Number(seconds.toFixed(2)),
  })
}

async function away(url: string): Promise<void> {
  await end(runningAs(place, 'boot')!, 10_000)
  const lost = await get(`${url}/icons/image1.gif`)
  proven(
    'reaching back: with the server away there is an error within the deadline',
    lost.status !== 200 && lost.took < 12_000,
    {
      status: lost.status,
      took: lost.took,
    },
  )
  await startBoot(place)
  const back = await get(`${url}/icons/image1.gif`)
  proven('reaching back: with the server back the same file is there', back.status === 200)
}

/** Changes the content of one blob on the server's disk, and mends it afterwards. */
async function damaged(url: string): Promise<void> {
  const store = await Store.open(join(paths.state(place), 'store'))
  const { selectionDigest } = await api.request<{ selectionDigest: `sha256:${string}` }>(
    'GET',
    '/v1/blueprints/apache-reach',
  )
  const { stack } = await store.readJson<{ stack: `sha256:${string}` }>(selectionDigest)
  const { components } = await store.readJson<{ components: { digest: `sha256:${string}` }[] }>(stack)
  const path = '/usr/share/apache2/icons/image2.gif'
  for (const { digest } of components) {
    const { entries } = await store.readJson<{ entries: { path: string; digest?: `sha256:${string}` }[] }>(digest)
    const file = entries.find((entry) => entry.path === path)?.digest
    if (!file) continue
    const whole = await readFile(store.path(file))
    await writeFile(store.path(file), Buffer.alloc(whole.length, 7))
    const answer = await get(`${url}/icons/image2.gif`)
    const miss = await missOf('apache-reach', path)
    await writeFile(store.path(file), whole)
    const after = await get(`${url}/icons/image2.gif`)
    const holds = answer.status !== 200 && after.status === 200
    proven('reaching back: a damaged blob is refused, and whole again served', holds, {
      status: answer.status,
      outcome: miss?.outcome,
    })
  }
}

await up(place, { held: true, progress: ({ step }) => console.error(`  ${step}`) })
try {
  await locked()
  await reaching()
  console.log(JSON.stringify({ prove: 'misses', results }))
} finally {
  await api.close()
  await down(place)
  await rm(place.directory, { recursive: true, force: true })
}
