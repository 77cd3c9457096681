import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { memoryParts } from '../../src/change/weigh/memory-parts.ts'
import { parseMemory } from '../../src/change/weigh/told.ts'
import { deviceText } from '../../src/fleet/devices.ts'
import { bundleForDrift, driftOf, parseInventory } from '../../src/fleet/drift.ts'
import { bootsOf } from '../../src/state/boots.ts'
import { getHardware } from '../../src/state/hardware.ts'
import { listMisses } from '../../src/state/misses.ts'
import { getInventory, putOrder } from '../../src/state/orders.ts'
import type { Digest } from '../../src/store/digest.ts'
import { type Fixture, startFixture } from '../http/fixture.ts'
import { bootNode, type Line, lineTo, type Node } from './misses.ts'

const mac = '52:54:00:aa:01:03'
let fixture: Fixture
let line: Line
let node: Node

beforeAll(async () => {
  fixture = await startFixture({ heartbeat: 1 })
  line = await lineTo(fixture)
  const lacking = { '/srv/absent.html': 'x', '/usr/share/deep': null, '/usr/share/deep/er': 'y' }
  node = await bootNode(fixture, line, {
    mac,
    onMiss: 'deny',
    root: 'squashfs',
    lacking,
    firmware: { 'card/v1.fw': 'microcode' },
  })
  await vi.waitFor(async () => expect((await newest())?.outcome).toBe('ready'), { timeout: 60_000, interval: 100 })
}, 120_000)

afterAll(async () => {
  node?.process.kill('SIGKILL')
  if (process.env.CONSOLE) console.info(node?.machine.console())
  line?.close()
  await fixture?.close()
})

async function newest() {
  await fixture.boots.flush()
  const [boot] = await bootsOf(fixture.state.redis, mac, 1)
  return boot
}

async function told(what: 'drift' | 'weigh', boot: string): Promise<string> {
  const { redis } = fixture.state
  const { id } = await putOrder(redis, mac, { do: what, boot })
  return vi.waitUntil(() => getInventory(redis, id), { timeout: 40_000, interval: 100 })
}

test('a node serves from an image of its packages, and writes over it', async () => {
  expect((await node.get('/index.html')).text).toBe('It works\n')
  expect(await node.shell('grep " / overlay " /proc/mounts; ls -d /srv/* /.hidden; ls /.bootloom/layers/up')).toMatch(
    /^overlay \/ overlay rw.*,lowerdir=\/\.bootloom\/layers\/image,.*\n\/\.hidden\n\/srv\/cgi-bin\n\/srv\/index\.html\n/,
  )
  expect(await node.shell('echo new >/srv/index.html; cat /srv/index.html; rm /.hidden; ls /.hidden')).toContain(
    'new\n',
  )
})

test('drivers find their firmware, apart from what the application has in /lib', async () => {
  expect(await node.shell('cat /sys/module/firmware_class/parameters/path /.bootloom/firmware/card/v1.fw')).toBe(
    '/.bootloom/firmware\nmicrocode',
  )
})

test('what an image lacks is told by name, with the process that asked', async () => {
  expect((await node.get('/absent.html')).status).toBe(404)
  await node.shell('cat /usr/share/deep/er')
  await vi.waitFor(
    async () => {
      const misses = await listMisses(fixture.state.redis, 'test')
      expect(misses.map(({ path, process }) => `${process} ${path}`).sort()).toEqual([
        'cat /usr/share/deep/er',
        'httpd /srv/absent.html',
      ])
    },
    { timeout: 25_000, interval: 100 },
  )
})

test('what differs from the image is told, and nothing else', async () => {
  const boot = (await newest())!
  const text = await told('drift', boot.id)
  const bundle = (await bundleForDrift(fixture.store, boot.bundle as Digest))!
  const drift = await driftOf(fixture.store, bundle, parseInventory(text))
  expect(drift.map(({ path, kind }) => `${kind} ${path}`)).toEqual(['removed /.hidden', 'changed /srv/index.html'])
})

test('a node tells where its memory is, to the last page of it', async () => {
  const memory = parseMemory(await told('weigh', (await newest())!.id))
  expect(memory.kernel.code).toBeGreaterThan(5e6)
  expect(memory.root).toBeGreaterThan(1e6)
  expect(memory.modules).toBeGreaterThan(100_000)
  expect(memory.slabs.map(({ name }) => name)).toContain('dentry')
  expect(memory.processes.find(({ name }) => name === 'httpd')?.anonymous).toBeGreaterThan(0)
  expect([...memory.mapped.keys()]).toContain('/usr/bin/httpd')
  const parts = memoryParts(256 * 1024 * 1024, memory)
  expect(parts.find(({ name }) => name === 'not accounted for')!.bytes).toBeLessThan(24e6)
})

test('a node tells of its devices', async () => {
  const known = await vi.waitUntil(() => getHardware(fixture.state.redis, mac), { timeout: 40_000, interval: 100 })
  expect(known.modaliases.map(deviceText)).toEqual(
    expect.arrayContaining(['Ethernet controller 1af4:1000', 'virtio device 1 of 1af4', 'host bridge 8086:1237']),
  )
})
