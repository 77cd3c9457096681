import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { orderNode } from '../../src/fleet/reboot.ts'
import { bootsOf } from '../../src/state/boots.ts'
import { updateNode } from '../../src/state/nodes.ts'
import { getInventory, getOrder, heardAt } from '../../src/state/orders.ts'
import { getTries } from '../../src/state/tries.ts'
import { type Digest, digestOf, hexOf } from '../../src/store/digest.ts'
import { type Fixture, initramfs, kernel, mac, putBundle, putForeign, startFixture } from './fixture.ts'

let fixture: Fixture
let boot: string

const assign = (bundle: Digest) =>
  updateNode(fixture.state.redis, mac, () => ({ mac, groups: [], assignment: { blueprint: 'apache', bundle } }))

beforeAll(async () => {
  fixture = await startFixture()
})
afterAll(() => fixture.close())

beforeEach(async () => {
  await assign(await putBundle(fixture.store))
  fixture.boots.discover(mac, 'ipxe')
  const script = await (await fixture.get(`/ipxe?mac=${mac}`)).text()
  boot = /bootloom\.boot=([0-9a-f]+)/.exec(script)![1]!
  await post(`/report?mac=${mac}&boot=${boot}&stage=network`)
  await post(`/report?mac=${mac}&boot=${boot}&stage=ready`)
  await fixture.boots.flush()
})

const post = (path: string, body = '') => fetch(fixture.server.url + path, { method: 'POST', body })
const ask = async (of = boot) => (await fixture.get(`/orders?mac=${mac}&boot=${of}`)).text()

/** The lines of an answer. */
const read = (text: string) =>
  Object.fromEntries(
    text
      .trimEnd()
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )

test('a running node is told when to ask again, and that it asked is known', async () => {
  const before = Date.now()
  expect(await ask()).toBe('wait=15\n')
  expect(await heardAt(fixture.state.redis, mac)).toBeGreaterThanOrEqual(before)
})

test('an order stands until the node boots anew, and is for no later boot', async () => {
  const { id } = (await orderNode(fixture.state.redis, mac, 'reboot'))!
  for (let i = 0; i < 2; i++) expect(read(await ask())).toEqual({ wait: '15', order: id, do: 'reboot' })
  const script = await (await fixture.get(`/ipxe?mac=${mac}`)).text()
  const next = /bootloom\.boot=([0-9a-f]+)/.exec(script)![1]!
  expect(read(await ask(next))).toEqual({ wait: '15' })
  expect(await getOrder(fixture.state.redis, mac)).toBeUndefined()
})

test('orders are told to nobody else, and a bogus DISCOVER does not cut the node off', async () => {
  await orderNode(fixture.state.redis, mac, 'reboot')
  expect((await fixture.get(`/orders?mac=${mac}&boot=${'f'.repeat(24)}`)).status).toBe(403)
  fixture.boots.discover(mac, 'ipxe')
  expect(read(await ask()).do).toBe('reboot')
})

test('a node enters its next bundle by kexec: another boot, and a try of it only once it jumps', async () => {
  const next = await putBundle(fixture.store, { cmdline: 'next' })
  await assign(next)
  const told = read(await (await fixture.get(`/kexec?mac=${mac}&boot=${boot}`)).text())
  expect(told).toMatchObject({
    kernel: `/bundle/${next}/kernel`,
    'kernel-size': '5000',
    'initramfs-size': `${initramfs.length}`,
    'kernel-digest': hexOf(digestOf(kernel)),
  })
  const recipe = (of: string) => fixture.get(`${told.recipe}?mac=${mac}&boot=${of}`)
  expect((await recipe(told.boot!)).status).toBe(200)
  expect((await recipe(boot)).status).toBe(403)
  expect(told.cmdline).toContain(
    `next bootloom.server=${fixture.server.url} bootloom.mac=${mac} bootloom.boot=${told.boot}`,
  )
  expect(told.boot).not.toBe(boot)
  expect((await fixture.get(`${told.overlay}?mac=${mac}&boot=${told.boot}`)).status).toBe(200)
  await fixture.boots.flush()
  expect(await getTries(fixture.state.redis, 'apache', mac)).toEqual([])
  await post(`/report?mac=${mac}&boot=${told.boot}&stage=jump`)
  await fixture.boots.flush()
  expect(await getTries(fixture.state.redis, 'apache', mac)).toMatchObject([{ bundle: next, boots: [told.boot] }])
  await post(`/report?mac=${mac}&boot=${told.boot}&stage=ready`)
  await fixture.boots.flush()
  const [latest] = await bootsOf(fixture.state.redis, mac)
  expect(latest!.stages.map(({ stage, action }) => action ?? stage)).toEqual(['kexec', 'overlay', 'jump', 'ready'])
})

test('a node that could not jump has had no try, and its firmware begins another boot', async () => {
  await assign(await putBundle(fixture.store, { cmdline: 'large' }))
  const told = read(await (await fixture.get(`/kexec?mac=${mac}&boot=${boot}`)).text())
  await fixture.get(`/overlay?mac=${mac}&boot=${told.boot}`)
  await post(`/report?mac=${mac}&boot=${told.boot}&stage=no-jump`, 'too little memory is free')
  const script = await (await fixture.get(`/ipxe?mac=${mac}`)).text()
  expect(script).not.toContain(told.boot)
  await fixture.boots.flush()
  expect(await getTries(fixture.state.redis, 'apache', mac)).toEqual([])
  const [, abandoned] = await bootsOf(fixture.state.redis, mac)
  expect(abandoned!.stages.at(-1)).toMatchObject({ stage: 'no-jump', detail: 'too little memory is free' })
})

test('a foreign bundle is not entered by kexec', async () => {
  await assign(await putForeign(fixture.store, ''))
  expect((await fixture.get(`/kexec?mac=${mac}&boot=${boot}`)).status).toBe(409)
})

test("a node's account of its root is kept for who asked, once, and for nobody else", async () => {
  const order = (await orderNode(fixture.state.redis, mac, 'drift'))!
  expect(read(await ask())).toMatchObject({ order: order.id, do: 'drift' })
  const tell = (id: string) => post(`/drift?mac=${mac}&boot=${boot}&order=${id}`, 'f\t644\t0\t0\t1\tab\t/x\n')
  expect((await tell('0'.repeat(16))).status).toBe(404)
  expect((await tell(order.id)).status).toBe(200)
  expect(await getInventory(fixture.state.redis, order.id)).toBe('f\t644\t0\t0\t1\tab\t/x\n')
  expect((await tell(order.id)).status).toBe(404)
  expect(read(await ask())).toEqual({ wait: '15' })
})
