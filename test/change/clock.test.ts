import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { KilledServer } from '../../lab/kills/server.ts'
import { ApiClient } from '../../src/http/api-client.ts'
import type { Change } from '../../src/state/changes.ts'
import { type SmallArchive, smallArchive } from '../repository/deb/small-archive.ts'

const asRoot = process.getuid?.() === 0
/** Minutes. */
const every = 0.1

const yaml = `
name: clock
stack:
  - deb: { suite: bookworm, updates: false, security: false, packages: [busybox-static, site] }
start: { command: [/usr/bin/busybox, httpd, -f, -p, "8097", -h, /srv] }
probe: { http: /index.html, port: 8097 }
windows: [{ from: "00:00", to: "00:00" }]
`

let directory: string
let archive: SmallArchive
let server: KilledServer
let api: ApiClient

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'c-'))
  archive = await smallArchive(directory)
  await archive.add('site', '1', '/srv/index.html', 'the first')
  process.env.APT_CONFIG = archive.aptConfig
  const state = join(directory, 'state')
  await mkdir(state)
  server = new KilledServer(state, { updates: { every } })
  api = new ApiClient(join(state, 'api.sock'))
  if (asRoot) await server.start()
}, 60_000)
afterAll(async () => {
  delete process.env.APT_CONFIG
  await api.close()
  await server.stop()
  await rm(directory, { recursive: true, force: true })
})

test.skipIf(!asRoot)(
  'a newer package in the archive goes its way to stable by the clock alone, once (skipped without root)',
  async () => {
    await api.request('POST', '/v1/blueprints', { yaml, directory })
    await api.job('POST', '/v1/blueprints/clock/observe', {}, () => {})
    await api.job('POST', '/v1/blueprints/clock/compose', { level: 'fast' }, () => {})
    const first = await ofSources(0, 'composed')
    expect(first).toMatchObject([{ state: 'promoted' }])

    await archive.add('site', '2', '/srv/index.html', 'the second')
    const [part] = await ofSources(1, 'sources')
    const update = { kind: 'deb', name: 'site', from: '1', to: '2', files: 1, suites: ['bookworm'] }
    expect(part).toMatchObject({ state: 'promoted', updates: [update], impact: { paths: ['/srv/index.html'] } })
    expect(part!.history.map(({ state }) => state)).toEqual(['detected', 'woven', 'replayed', 'promoted'])
    // Its thorough twin may have taken its place by now.
    const { stable } = await api.request<{ stable: { history: { to: string }[] } }>('GET', '/v1/channels/clock')
    expect(stable.history.map(({ to }) => to)).toContain(part!.bundle)

    // The next looks find nothing new.
    await sleep(every * 60_000 * 1.5)
    expect((await changes()).map(({ cause }) => cause)).toEqual(['sources', 'composed'])
  },
  180_000,
)

const changes = () => api.request<Change[]>('GET', '/v1/changes')

/** The shares of the newest change, once all of them have ended. */
async function ofSources(more: number, cause: Change['cause']): Promise<Change['parts']> {
  const open = ['detected', 'woven', 'replayed', 'verified']
  for (;;) {
    const all = await changes()
    const newest = all.length > more && all[0]!.cause === cause ? all[0]!.parts : []
    if (newest.length > 0 && newest.every(({ state }) => !open.includes(state))) return newest
    await sleep(100)
  }
}
