import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { applyBlueprint } from '../../src/change/applied.ts'
import { type Context, openContext } from '../../src/change/context.ts'
import { acceptMisses, missesOf } from '../../src/change/misses.ts'
import type { BundleConfig, BundleManifest } from '../../src/compose/bundle-format.ts'
import { silent } from '../../src/config/log.ts'
import { settingsSchema } from '../../src/config/settings.ts'
import { getBlueprint } from '../../src/state/blueprints.ts'
import { type Miss, putMiss } from '../../src/state/misses.ts'
import { digestOf } from '../../src/store/digest.ts'
import { putBundle } from '../http/fixture.ts'

let directory: string
let context: Context
let miss: Parameters<typeof putMiss>[2]
const paths = ['/etc/app', '/etc/app/a.conf', '/etc/app/b.conf', '/usr/share', '/usr/share/app/page']

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootloom-misses-'))
  context = await openContext(settingsSchema.parse({ state: directory }), silent)
  const { store } = context
  const lines = paths.map((path) => (/\./.test(path) || path.endsWith('page') ? fileLine(path) : `d 755 0 0 ${path}`))
  const absent = await store.write(Buffer.from(`c 1 app 1\n${lines.join('\n')}\n`))
  const manifest = await store.readJson<BundleManifest>(await putBundle(store))
  const config = await store.readJson<BundleConfig>(manifest.config.digest)
  const bytes = Buffer.from(JSON.stringify({ ...config, misses: { onMiss: 'deny', absent } }))
  const written = { ...manifest.config, digest: await store.write(bytes), size: bytes.length }
  miss = {
    path: '',
    type: 'file',
    component: 'app',
    process: 'appd',
    pid: 7,
    node: '52:54:00:aa:00:01',
    bundle: await store.writeJson({ ...manifest, config: written }),
    uptime: 1,
    outcome: 'missed',
    count: 1,
    lastAt: 1000,
  }
  await apply()
})
afterAll(async () => {
  await context.close()
  await rm(directory, { recursive: true, force: true })
})

const fileLine = (path: string) => `f 644 0 0 1 ${digestOf(path).slice('sha256:'.length)} ${path}`
const apply = () =>
  applyBlueprint(context, {
    yaml: 'name: app\nstack: [{ deb: { packages: [app] } }]\nstart: { command: [/usr/bin/app] }\nprobe: { tcp: 80 }\n',
    directory,
  })
const missed = (path: string, type: Miss['type'] = 'file') =>
  putMiss(context.state.redis, 'app', { ...miss, path, type })
const widened = async () => (await getBlueprint(context.state.redis, 'app'))!.widened?.map(({ path }) => path)

test('a miss is listed until it is accepted, and then widens the blueprint, also when that is applied again', async () => {
  await missed('/usr/share', 'dir')
  await missed('/usr/share/app/page')
  expect((await missesOf(context, 'app')).map(({ path, accepted }) => [path, accepted])).toEqual([
    ['/usr/share', false],
    ['/usr/share/app/page', false],
  ])
  expect(await acceptMisses(context, 'app', ['/usr/share/app/page'])).toEqual(['/usr/share/app/page'])
  await apply()
  expect(await widened()).toEqual(['/usr/share/app/page'])
  expect((await missesOf(context, 'app')).filter(({ accepted }) => accepted)).toHaveLength(1)
})

test('all at once: a directory brings what is below it, unless it was only passed through; nothing twice', async () => {
  await missed('/etc/app', 'dir')
  expect(await acceptMisses(context, 'app')).toEqual(['/etc/app', '/etc/app/a.conf', '/etc/app/b.conf', '/usr/share'])
  expect(await acceptMisses(context, 'app')).toEqual([])
  expect((await widened())!.toSorted()).toEqual(paths)
})

test('a path that no node missed is not accepted', async () => {
  const refused = acceptMisses(context, 'app', ['/etc/shadow'])
  await expect(refused).rejects.toMatchObject({ code: 'MISS_UNKNOWN', details: ['/etc/shadow'] })
})
