import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openContext } from '../../src/change/context.ts'
import { silent } from '../../src/config/log.ts'
import { settingsSchema } from '../../src/config/settings.ts'
import { ApiClient } from '../../src/http/api-client.ts'
import { openParts } from '../../src/state/changes.ts'
import { paths, placeOf } from '../place.ts'
import { becomeRoot } from '../root.ts'
import { until } from '../wait.ts'
import { accountFor } from './account.ts'
import { KilledServer } from './server.ts'

/**
 * `npm run prove:kills [COUNT]`: the server is killed at random moments while sites are edited and a package is updated;
 * real packages, real weaving and replaying, and virtual machines for two of the blueprints. Every change must end, once.
 */
const kills = Number(process.argv[2] ?? 100)
/** Of tzdata: bookworm's own, while its security updates have a newer one. */
const old = { version: '2026b-0+deb12u1', until: '2099-01-01', reason: 'until it is updated' }
const names = ['plain-1', 'plain-2', 'plain-3', 'proven-1', 'proven-2']

await becomeRoot()
const place = placeOf({ name: 'bootloom-kills' })
const state = paths.state(place)
await rm(place.directory, { recursive: true, force: true })
await mkdir(state, { recursive: true })
// Ours keeps the embedded Redis, as a machine's would be there all the time.
const context = await openContext(settingsSchema.parse({ state }), silent)
const server = new KilledServer(state)
const site = (name: string) => join(place.directory, name)
try {
  await server.start()
  await prepare()
  const counts = { edits: 0, updates: 0 }
  const pinned = [...names]
  for (let kill = 1; kill <= kills; kill++) {
    const name = names[Math.floor(Math.random() * names.length)]!
    await writeFile(join(site(name), 'index.html'), `edit ${kill} of ${name}`)
    counts.edits++
    if (kill % Math.ceil(kills / names.length) === 1 && pinned.length > 0) {
      counts.updates++
      await unpin(pinned.shift()!)
    }
    // Mostly soon, sometimes after a machine has booted.
    await sleep(Math.random() ** 2 * 20_000)
    await server.kill({ all: kill % 2 === 0 })
    await server.start()
    console.error(`  kill ${kill} of ${kills}, ${(await openParts(context.state.redis)).length} open`)
  }
  for (let quiet = 0; quiet < 20; await sleep(250)) {
    quiet = (await openParts(context.state.redis)).length === 0 ? quiet + 1 : 0
  }
  const { changes, ends, wrong } = await accountFor(context)
  for (const line of wrong) console.error(`  ${line}`)
  console.log(JSON.stringify({ prove: 'kills', kills, ...counts, changes, ends, wrong: wrong.length }))
  if (wrong.length > 0) process.exitCode = 1
} finally {
  await server.stop()
  await context.close()
  if (process.exitCode === undefined) await rm(place.directory, { recursive: true, force: true })
}

/** Five blueprints of the same packages, which are installed once; each with its first bundle on stable. */
async function prepare(): Promise<void> {
  const api = new ApiClient(join(state, 'api.sock'))
  for (const name of names) {
    await mkdir(site(name))
    await writeFile(join(site(name), 'index.html'), `first of ${name}`)
    await api.request('POST', '/v1/blueprints', { yaml: yamlOf(name), directory: place.directory })
    await api.request('PUT', `/v1/pins/${name}/tzdata`, old)
    await api.job('POST', `/v1/blueprints/${name}/observe`, {}, () => {})
    await api.job('POST', `/v1/blueprints/${name}/compose`, { level: 'fast' }, () => {})
    console.error(`  ${name} is woven`)
  }
  await api.close()
  const look = async () => {
    const open = await openParts(context.state.redis)
    return open.length === 0 ? { found: true } : { seen: `${open.length} parts of changes are open` }
  }
  await until('all changes of the beginning have ended', look, { timeout: 600_000 })
}

function yamlOf(name: string): string {
  return [
    `name: ${name}`,
    'stack:',
    '  - deb: { packages: [busybox-static, tzdata] }',
    `  - tree: { path: ./${name}, at: /srv }`,
    'start: { command: [/usr/bin/busybox, httpd, -f, -p, "8099", -h, /srv] }',
    'probe: { http: /index.html, port: 8099 }',
    'keep: [/usr/share/zoneinfo/Europe/Vienna, /usr/share/zoneinfo/tzdata.zi]',
    // Twice as slow is nothing on a machine that is busy restarting servers.
    name.startsWith('proven') ? 'verify: { boot: 4x }' : 'windows: [{ from: "00:00", to: "00:00" }]',
  ].join('\n')
}

/** The package of one blueprint may move on, and the sources are asked; the answer is not waited for. */
async function unpin(name: string): Promise<void> {
  const api = new ApiClient(join(state, 'api.sock'))
  await api.request('DELETE', `/v1/pins/${name}/tzdata`)
  void api
    .job('POST', '/v1/changes/detect', {}, () => {})
    .catch(() => {})
    .finally(() => api.close())
}
