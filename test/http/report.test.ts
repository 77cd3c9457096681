import { zstdDecompressSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { bootsOf } from '../../src/state/boots.ts'
import { latestEvents } from '../../src/state/events.ts'
import { forgetHardwareNews, getHardware, hardwareNews } from '../../src/state/hardware.ts'
import { updateNode } from '../../src/state/nodes.ts'
import type { Digest } from '../../src/store/digest.ts'
import { type Fixture, mac, putBundle, startFixture } from './fixture.ts'

let fixture: Fixture
let bundle: Digest
let boot: string

beforeAll(async () => {
  fixture = await startFixture()
  bundle = await putBundle(fixture.store)
  const assignment = { blueprint: 'apache', bundle }
  await updateNode(fixture.state.redis, mac, () => ({ mac, hostname: 'web1', groups: [], assignment }))
})
afterAll(() => fixture.close())

beforeEach(async () => {
  fixture.boots.discover(mac, 'ipxe')
  const script = await (await fixture.get(`/ipxe?mac=${mac}`)).text()
  boot = /bootloom\.boot=([0-9a-f]+)/.exec(script)![1]!
})

const report = (stage: string, body = '', more = '') =>
  fetch(`${fixture.server.url}/report?mac=${mac}&boot=${boot}&stage=${stage}${more}`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })

const latest = async () => {
  await fixture.boots.flush()
  return (await bootsOf(fixture.state.redis, mac))[0]!
}

test('a boot goes from DISCOVER to ready with its bytes and times', async () => {
  await (await fixture.get(`/bundle/${bundle}/kernel?mac=${mac}&boot=${boot}`)).arrayBuffer()
  await (await fixture.get(`/bundle/${bundle}/initramfs?mac=${mac}&boot=${boot}`)).arrayBuffer()
  const overlay = Buffer.from(await (await fixture.get(`/overlay?mac=${mac}&boot=${boot}`)).arrayBuffer())
  expect(zstdDecompressSync(overlay).toString('latin1')).toContain('hostname=web1')
  expect((await report('init', '\n', '&uptime=1.5')).status).toBe(200)
  expect((await report('ready', '', '&uptime=2.5&memtotal=1000&memavailable=600')).status).toBe(200)
  const record = await latest()
  expect(record).toMatchObject({ id: boot, mac, blueprint: 'apache', bundle, outcome: 'ready' })
  const stages = record.stages.map(({ stage }) => stage)
  expect(stages).toEqual(['discover', 'script', 'kernel', 'initramfs', 'overlay', 'init', 'ready'])
  expect(record.stages[2]).toMatchObject({ bytes: 5000 })
  expect(record.stages[6]).toMatchObject({ uptime: 2.5, memTotal: 1_024_000, memAvailable: 614_400 })
  const events = await latestEvents(fixture.state.redis, 10)
  expect(events.at(-1)).toMatchObject({ event: 'boot-ready', mac, boot, bundle })
})

test('a node tells of its devices in its own boot, and only what changed is to be looked at', async () => {
  const tell = (body: string, of = boot) =>
    fetch(`${fixture.server.url}/hardware?mac=${mac}&boot=${of}`, { method: 'POST', body })
  const { redis } = fixture.state
  expect((await tell('virtio:d00000001v00001AF4\n', 'another')).status).toBe(403)
  expect(await getHardware(redis, mac)).toBeUndefined()
  const lines = [
    'virtio:d00000001v00001AF4',
    'acpi:PNP0C0C:',
    '',
    'acpi:PNP0C0C:',
    '\u001b[2J',
    'no modalias',
    'x:\u0000',
  ]
  expect((await tell(lines.join('\n'))).status).toBe(200)
  expect((await getHardware(redis, mac))?.modaliases).toEqual(['acpi:PNP0C0C:', 'virtio:d00000001v00001AF4'])
  const news = await hardwareNews(redis)
  expect([...news.keys()]).toEqual([mac])
  await forgetHardwareNews(redis, news)
  await tell('virtio:d00000001v00001AF4\nacpi:PNP0C0C:\n')
  expect((await hardwareNews(redis)).size).toBe(0)
})

test('a failed boot keeps its reason and the last lines, with nothing in them that steers a terminal', async () => {
  await report('failed', 'apache2 ended with 1\n\nAH00558\n\u001b[2Jcould not bind\n')
  expect(await latest()).toMatchObject({
    outcome: 'failed',
    reason: 'apache2 ended with 1',
    lines: ['AH00558', '?[2Jcould not bind'],
  })
})

test("another boot's id is refused and counted, for reports and for the overlay", async () => {
  const before = fixture.server.refused.get('BOOT_NOT_CURRENT') ?? 0
  const own = boot
  boot = 'f'.repeat(24)
  expect((await report('ready')).status).toBe(403)
  expect((await fixture.get(`/overlay?mac=${mac}&boot=${boot}`)).status).toBe(403)
  expect((await fixture.get(`/overlay?mac=52:54:00:aa:00:07&boot=${own}`)).status).toBe(403)
  expect(fixture.server.refused.get('BOOT_NOT_CURRENT')).toBe(before + 3)
  expect((await latest()).outcome).toBeUndefined()
})

test('a report that is too long, or of no known stage, is refused', async () => {
  expect((await report('failed', 'x'.repeat(17 * 1024))).status).toBe(413)
  expect((await report('dancing')).status).toBe(400)
  expect((await latest()).outcome).toBeUndefined()
})

test('the same overlay twice is the same bytes', async () => {
  const fetched = async () =>
    Buffer.from(await (await fixture.get(`/overlay?mac=${mac}&boot=${boot}`)).arrayBuffer()).toString('hex')
  expect(await fetched()).toBe(await fetched())
})
