import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { BundleConfig, BundleManifest } from '../../src/compose/bundle-format.ts'
import { latestEvents } from '../../src/state/events.ts'
import { listMisses, type Miss, putMiss } from '../../src/state/misses.ts'
import { updateNode } from '../../src/state/nodes.ts'
import { type Digest, digestOf } from '../../src/store/digest.ts'
import { type Fixture, mac, putBundle, startFixture } from './fixture.ts'

const other = '52:54:00:aa:00:02'
const content = 'what the bundle lacks'
const secret = 'of another bundle'
const holders = new Map<string, string>()
const logged: object[] = []
const log = pino({ base: null }, { write: (line: string) => void logged.push(JSON.parse(line)) })
let fixture: Fixture
let boot: string
let denied: string

beforeAll(async () => {
  fixture = await startFixture({ holders, log })
  for (const text of [content, secret]) await fixture.store.write(Buffer.from(text))
  const hex = digestOf(content).slice('sha256:'.length)
  const tree = `c 1 icons 1\nd 755 0 0 /usr/share/icons\nf 644 0 0 ${content.length} ${hex} /usr/share/icons/a%20b.gif\n`
  boot = await assign(mac, await lackingBundle('fetch', tree))
  denied = await assign(other, await lackingBundle('deny', tree))
  holders.set('127.0.0.1', mac)
})
afterAll(() => fixture.close())

async function lackingBundle(onMiss: 'deny' | 'fetch', tree: string): Promise<Digest> {
  const { store } = fixture
  const manifest = await store.readJson<BundleManifest>(await putBundle(store, { blueprint: `apache-${onMiss}` }))
  const config = await store.readJson<BundleConfig>(manifest.config.digest)
  const misses = { onMiss, absent: await store.write(Buffer.from(tree)) }
  const bytes = Buffer.from(JSON.stringify({ ...config, misses }))
  const written = { ...manifest.config, digest: await store.write(bytes), size: bytes.length }
  return store.writeJson({ ...manifest, config: written })
}

async function assign(node: string, bundle: Digest): Promise<string> {
  await updateNode(fixture.state.redis, node, () => ({
    mac: node,
    groups: [],
    assignment: { blueprint: 'apache', bundle },
  }))
  holders.set('127.0.0.1', node)
  fixture.boots.discover(node, 'ipxe')
  const script = await (await fixture.get(`/ipxe?mac=${node}`)).text()
  return /bootloom\.boot=([0-9a-f]+)/.exec(script)![1]!
}

const tell = (body: string, of = boot, node = mac) =>
  fetch(`${fixture.server.url}/misses?mac=${node}&boot=${of}`, { method: 'POST', body })

test('a miss is kept with component, process and time, told of once, and counted when it comes again', async () => {
  const line = (at: string, count: number) => `${at}\t77\tapache2\t${count}\tmissed\t0\t/usr/share/icons/a%20b.gif\n`
  expect((await tell(line('8.010', 1))).status).toBe(200)
  expect((await tell(line('12.345', 41))).status).toBe(200)
  // The node did not hear our answer, and tells it again.
  expect((await tell(line('12.345', 41))).status).toBe(200)
  const [miss] = await listMisses(fixture.state.redis, 'apache-fetch')
  expect(miss).toMatchObject({
    path: '/usr/share/icons/a b.gif',
    component: 'icons',
    process: 'apache2',
    pid: 77,
    uptime: 12.345,
    node: mac,
    count: 42,
  })
  expect(Math.abs(Date.now() - miss!.firstAt)).toBeLessThan(5000)
  const events = (await latestEvents(fixture.state.redis, 50)).filter(({ event }) => event === 'file-missed')
  expect(events).toHaveLength(1)
  expect(events[0]).toMatchObject({ path: '/usr/share/icons/a b.gif', component: 'icons', outcome: 'missed', mac })
})

test('who missed a file stays known when other nodes miss it too, and each does only count for itself', async () => {
  const miss = {
    path: '/x',
    type: 'file',
    component: 'x',
    process: 'p',
    pid: 1,
    bundle: 'b',
    uptime: 1,
    count: 2,
  } as const
  const put = (node: string, outcome: 'missed' | 'fetched', lastAt: number) =>
    putMiss(fixture.state.redis, 'many', { ...miss, node, outcome, uptime: lastAt, lastAt })
  expect((await put('a', 'missed', 1)).fresh).toBe(true)
  expect((await put('b', 'missed', 2)).fresh).toBe(false)
  expect((await put('c', 'fetched', 3)).fresh).toBe(true)
  expect((await put('a', 'missed', 4)).fresh).toBe(false)
  expect((await put('c', 'missed', 5)).fresh).toBe(true)
  const [{ count, nodes }] = (await listMisses(fixture.state.redis, 'many')) as [Miss]
  expect(count).toBe(10)
  expect(nodes.map(({ node, count }) => [node, count])).toEqual([
    ['c', 4],
    ['a', 4],
    ['b', 2],
  ])
  for (let index = 0; index < 40; index++) await put(`n${index}`, 'missed', 6 + index)
  expect((await listMisses(fixture.state.redis, 'many'))[0]).toMatchObject({ count: 90, node: 'n39' })
  expect((await listMisses(fixture.state.redis, 'many'))[0]!.nodes).toHaveLength(32)
})

test('reports that a node had to throw away are counted in the log', async () => {
  expect((await tell('', `${boot}&lost=17`)).status).toBe(200)
  expect((await tell('', `${boot}&lost=-1&lost=x`)).status).toBe(200)
  expect(logged.filter((line) => 'event' in line && line.event === 'misses-lost')).toMatchObject([
    { mac, boot, count: 17 },
  ])
})

test('nothing of what is no line, no number, or no path that the stack has is kept', async () => {
  const before = await listMisses(fixture.state.redis, 'apache-fetch')
  const lines = [
    '1\t2\tx\t1\tmissed\t0\t/etc/never-in-the-stack',
    '1\t2\tx\t1\tmissed\t0\tusr/share/icons/a b.gif',
    '1\t2\tx\t-1\tmissed\t0\t/usr/share/icons/a%20b.gif',
    '1\t2\tx\t1e9\tmissed\t0\t/usr/share/icons/a%20b.gif',
    '1\t2\tx\t1\tinvented\t0\t/usr/share/icons/a%20b.gif',
    '1\t2\tx\t1\tmissed\t0\t/usr/share/icons/a%20b.gif\tmore',
    '__proto__\t'.repeat(6),
    '\0\u001b[2J',
  ]
  expect((await tell(lines.join('\n'))).status).toBe(200)
  expect(await listMisses(fixture.state.redis, 'apache-fetch')).toEqual(before)
})

test('what a process calls itself cannot steer a terminal', async () => {
  await tell('1\t2\t%1B[2Jsh\t1\tanswered\t0\t/usr/share/icons\n')
  const found = (await listMisses(fixture.state.redis, 'apache-fetch')).find(({ path }) => path === '/usr/share/icons')
  expect(found).toMatchObject({ process: '?[2Jsh', type: 'dir' })
})

test('too long a report, of another boot, or from an address that another node holds, is refused', async () => {
  expect((await tell('x'.repeat(33 * 1024))).status).toBe(413)
  expect((await tell('', 'f'.repeat(24))).status).toBe(403)
  expect((await tell('', denied, other)).status).toBe(403)
})

test('a node fetches what its own bundle lacks, and no other blob of the store', async () => {
  const blob = (text: string, of = boot, node = mac) => fixture.get(`/blob/${digestOf(text)}?mac=${node}&boot=${of}`)
  const answer = await blob(content)
  expect([answer.status, answer.headers.get('content-length')]).toEqual([200, String(content.length)])
  expect(await answer.text()).toBe(content)
  expect((await blob(secret)).status).toBe(404)
  expect((await blob(content, 'f'.repeat(24))).status).toBe(403)
  expect((await blob(content, denied, other)).status).toBe(403)
  holders.set('127.0.0.1', other)
  expect((await blob(content, denied, other)).status).toBe(404)
  expect((await blob(content)).status).toBe(403)
  holders.set('127.0.0.1', mac)
})
