import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { parse, stringify } from 'yaml'
import type { ListedMiss } from '../src/change/misses.ts'
import type { ComposeReport } from '../src/change/report.ts'
import { ApiClient } from '../src/http/api-client.ts'
import { Store } from '../src/store/store.ts'
import { layOut } from './blueprint.ts'
import { addressOf, watchBoot } from './boot-watch.ts'
import { down, startBoot, up } from './lab.ts'
import { inside } from './namespace.ts'
import { type LabNode, macOf, startNode } from './node.ts'
import { paths, placeOf } from './place.ts'
import { end, runningAs } from './processes.ts'
import { becomeRoot } from './root.ts'

/**
 * `npm run prove:misses`: Debian's Apache on two emulated nodes. One is locked: an icon that nobody drove is missed,
 * listed with process and time, accepted, and there after a reboot. The other reaches back: an Apache module that was
 * never loaded is enabled while it runs, and works on its first request; a server that is away and a damaged blob are
 * errors within the deadline. What it does goes to stderr; the last line is one JSON object.
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

/** As Debian's a2enmod, by a request: a program that Apache hands each path that was asked for. */
const switchProgram = `#!/bin/sh
while read -r path; do
  case $path in /enable/*)
    ln -s "../mods-available/\${path#/enable/}.load" /etc/apache2/mods-enabled/
    kill -USR1 "$(cat /run/apache2/apache2.pid)" ;;
  esac
done
`
const switchConfiguration = `GlobalLog "|/usr/local/sbin/switch" "%U"
<IfModule headers_module>
  Header always set X-Module "headers, enabled while running"
</IfModule>
`

async function weave(name: string, more: Record<string, unknown>): Promise<string> {
  const { directory, yaml: ready } = await layOut(place, 'apache')
  const yaml = stringify({ ...(parse(ready) as object), name, ...more })
  await api.request('POST', '/v1/blueprints', { yaml, directory })
  const job = (what: string, body: object) =>
    api.job<ComposeReport>('POST', `/v1/blueprints/${name}/${what}`, body, () => {})
  console.error(`  ${name}: observing and weaving`)
  await job('observe', {})
  return (await job('compose', { level: 'fast' })).digest
}

async function powerOn(index: number, blueprint: string): Promise<{ node: LabNode; url: string }> {
  await api.request('PUT', `/v1/nodes/${macOf(index)}`, { blueprint })
  const since = Date.now()
  const node = await startNode(place, { index, memory: 320 })
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
  const before = await weave('apache-locked', {})
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
  await weave('apache-reach', {
    onMiss: 'fetch',
    files: [
      { path: '/etc/apache2/conf-enabled/switch.conf', content: switchConfiguration },
      { path: '/usr/local/sbin/switch', content: switchProgram, mode: '0755' },
    ],
  })
  const { node, url } = await powerOn(2, 'apache-reach')
  const first = await get(`${url}/icons/text.gif`)
  const fetched = await missOf('apache-reach', icon)
  proven('reaching back: an icon comes with its first request', first.status === 200, {
    request: first.took,
    waited: fetched?.took,
  })
  await module(url)
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
