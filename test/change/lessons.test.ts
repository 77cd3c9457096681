import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Profile } from '../../src/blueprint/profile.ts'
import { applyBlueprint, wovenBlueprint } from '../../src/change/applied.ts'
import { type Context, openContext } from '../../src/change/context.ts'
import { Lessons } from '../../src/change/lessons.ts'
import { sourcesOf } from '../../src/change/work.ts'
import { Workshop } from '../../src/change/workshop.ts'
import { silent } from '../../src/config/log.ts'
import { settingsSchema } from '../../src/config/settings.ts'
import { Assignments } from '../../src/fleet/assignment.ts'
import { updateBlueprint } from '../../src/state/blueprints.ts'
import { putBoots } from '../../src/state/boots.ts'
import { listLearned, putLearned } from '../../src/state/learned.ts'
import { getNode, updateNode } from '../../src/state/nodes.ts'
import { recordGiven, recordReady } from '../../src/state/tries.ts'
import { digestOf } from '../../src/store/digest.ts'
import { componentOf, stackOf } from '../compose/stack.ts'

const mac = '52:54:00:aa:00:01'
const ours = digestOf('what it is assigned')
const other = '52:54:00:aa:00:02'
let directory: string
let context: Context
let workshop: Workshop
let lessons: Lessons

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootloom-lessons-'))
  context = await openContext(settingsSchema.parse({ state: directory }), silent)
  workshop = new Workshop(context.settings, silent)
  lessons = new Lessons(context, workshop)
  for (const name of ['shop', 'depot']) await apply(name)
  await updateNode(context.state.redis, mac, () => ({
    mac,
    groups: [],
    assignment: { blueprint: 'shop', bundle: ours },
  }))
})
afterAll(async () => {
  await workshop.close()
  await context.close()
  await rm(directory, { recursive: true, force: true })
})

/** A blueprint with a stack of a few files, as if it had been resolved. */
async function apply(name: string): Promise<void> {
  const { store, state } = context
  const yaml = `name: ${name}
stack: [ { deb: { packages: [shop] } } ]
start: { command: [/usr/bin/shop] }
probe: { tcp: 80 }
kernel: { modules: [] }
files: [ { path: /etc/shop.conf, content: "open" } ]
`
  await applyBlueprint(context, { yaml, directory })
  const kernel = await componentOf(store, 'kernel', '6.1.0-test', '6.1', { '/boot/vmlinuz-6.1.0-test': 'kernel' })
  const busybox = await componentOf(store, 'deb', 'busybox-static', '1', { '/bin/busybox': 'busybox' })
  const files = { '/usr/bin/shop': 'shop', '/usr/share/page': 'page', '/usr/share/never': 'x'.repeat(5000) }
  const shop = await componentOf(store, 'deb', 'shop', '1', { ...files, '/usr/share/link': { to: 'page' } })
  const accounts = { '/etc/passwd': 'root:x:0:0::/:/bin/sh\n' }
  const configuration = await componentOf(store, 'configuration', 'configuration', '1', accounts)
  const stackDigest = await store.writeJson(stackOf([shop, configuration], kernel, busybox))
  const stackSources = sourcesOf(await wovenBlueprint(context, name))
  await updateBlueprint(state.redis, name, (current) => ({ ...current!, stackDigest, stackSources }))
}

const resolved = () => new Assignments(context.state.redis, context.settings, silent).resolve(mac)
const signal = new AbortController().signal
const begin = (blueprint: string, node: string, seconds?: number) =>
  lessons.begin(blueprint, node, { seconds }, () => {}, signal)

test('a node that learns boots the full stack, which is woven first, and what it is assigned once that is over', async () => {
  const { learning } = await begin('shop', mac)
  expect(await resolved()).toMatchObject({ action: 'boot', bundle: learning.bundle, via: 'learning' })
  const { redis } = context.state
  await putLearned(redis, mac, [
    { path: '/usr/bin/shop', how: 'exec', process: '' },
    { path: '/usr/share/page', how: 'open', process: '/usr/bin/shop' },
    { path: '/usr/share/link', how: 'read', process: '' },
    { path: '/etc/shop.conf', how: 'read', process: '' },
  ])
  const [report] = await lessons.stop('shop')
  expect(report).toMatchObject({ methods: ['node'], paths: 4 })
  const { profileDigest } = (await wovenBlueprint(context, 'shop')).record
  expect((await context.store.readJson<Profile>(profileDigest!)).paths).toEqual([
    { path: '/etc/shop.conf', how: ['kernel'] },
    { path: '/usr/bin/shop', how: ['exec'] },
    { path: '/usr/share/link', how: ['symlink'] },
    { path: '/usr/share/page', how: ['open'] },
  ])
  expect(await resolved()).toMatchObject({ action: 'boot', bundle: ours, via: 'node' })
  expect(await listLearned(redis, mac)).toEqual([])
  await expect(lessons.stop('shop')).rejects.toMatchObject({ code: 'LEARNING_OVER' })
})

test('a server that starts anew ends what was to end meanwhile, and what was found before stays', async () => {
  await begin('shop', mac, 1)
  await putLearned(context.state.redis, mac, [{ path: '/usr/share/never', how: 'open', process: '/usr/bin/shop' }])
  const anew = new Lessons(context, workshop)
  anew.watch()
  for (let waited = 0; (await getNode(context.state.redis, mac))?.learning && waited < 10_000; waited += 100) {
    await sleep(100)
  }
  anew.close()
  expect(await resolved()).toMatchObject({ bundle: ours })
  const { profileDigest } = (await wovenBlueprint(context, 'shop')).record
  const paths = (await context.store.readJson<Profile>(profileDigest!)).paths.map(({ path }) => path)
  expect(paths).toEqual(expect.arrayContaining(['/usr/share/never', '/usr/share/page']))
})

test('one node learns for one blueprint at a time, and not where the full stack cannot fit', async () => {
  await begin('shop', mac)
  await expect(begin('depot', mac)).rejects.toMatchObject({ code: 'NODE_LEARNS' })
  expect((await begin('shop', mac, 60)).learning.until).toBeGreaterThan(Date.now())
  await lessons.stop('shop', mac)
  const boot = { id: 'b1', mac: other, openedAt: 1, updatedAt: Date.now(), outcome: 'ready' as const }
  const stages = [{ stage: 'ready' as const, at: 1, memTotal: 10_000 }]
  await putBoots(context.state.redis, [{ ...boot, stages }])
  await expect(begin('shop', other)).rejects.toMatchObject({ code: 'NODE_TOO_SMALL' })
  expect((await getNode(context.state.redis, other))?.learning).toBeUndefined()
})

test('a node that does not come up with it boots what it is assigned, and the full stack is no fallback for anyone', async () => {
  const { redis } = context.state
  const lesson = await begin('shop', mac)
  const { bundle } = lesson.learning
  await recordReady(redis, { mac, blueprint: 'shop', bundle, boot: 'ready' }, Date.now())
  const boots = ['first', 'second'].map((id) => ({
    ...{ id, mac, bundle, openedAt: Date.now(), updatedAt: Date.now(), stages: [] },
    ...{ outcome: 'failed' as const, reason: 'larger than half of its RAM' },
  }))
  await putBoots(redis, boots)
  for (const { id } of boots) await recordGiven(redis, { mac, blueprint: 'shop', bundle, boot: id })
  expect(await resolved()).toMatchObject({ bundle: ours })
  const followed = lessons.follow(lesson, false, () => {}, signal)
  await expect(followed).rejects.toMatchObject({ code: 'LEARNING_FAILED', message: /larger than half/ })
  expect((await getNode(redis, mac))?.learning).toBeUndefined()
  // Two tries with what it is assigned leave nothing else that was ever ready.
  for (const id of ['third', 'fourth']) await recordGiven(redis, { mac, blueprint: 'shop', bundle: ours, boot: id })
  expect(await resolved()).toMatchObject({ bundle: ours, gaveUp: ours })
})
