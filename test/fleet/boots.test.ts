import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { silent } from '../../src/config/log.ts'
import { Boots } from '../../src/fleet/boots.ts'
import { timeline } from '../../src/fleet/timeline.ts'
import { bootsOf } from '../../src/state/boots.ts'
import { getSighting } from '../../src/state/nodes.ts'
import { openState, type State } from '../../src/state/redis.ts'

const settings = { unknown: { action: 'reject' }, fleet: { tries: 2, deadline: 600, heartbeat: 15 } } as const
let directory: string
let state: State
let boots: Boots
let mac: string
let count = 0

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'boots-'))
  state = await openState({ directory }, silent)
  boots = await Boots.open(state.redis, settings, silent)
})
afterAll(async () => {
  await boots.close()
  await state.close()
  await rm(directory, { recursive: true, force: true })
})
beforeEach(() => {
  mac = `52:54:00:dd:00:${(++count).toString(16).padStart(2, '0')}`
})

async function recorded() {
  await boots.flush()
  return bootsOf(state.redis, mac)
}
const names = (boot: Awaited<ReturnType<typeof recorded>>[number] | undefined) =>
  boot?.stages.map(({ stage, by }) => (by ? `${stage} ${by}` : stage))

/** From DISCOVER to ready, as a UEFI node that chainloads iPXE goes. */
async function powerOn() {
  boots.discover(mac, 'firmware')
  boots.record(mac, { stage: 'offer', by: 'firmware', address: '10.77.0.50' })
  boots.record(mac, { stage: 'ack', by: 'firmware', address: '10.77.0.50' })
  boots.record(boots.macAt('10.77.0.50')!, { stage: 'tftp', file: 'snponly.efi', bytes: 200_000 })
  boots.discover(mac, 'ipxe')
  const { id } = boots.script(mac, 'boot', { blueprint: 'apache', bundle: 'sha256:x' })
  boots.transfer(mac, id, { stage: 'kernel', bytes: 14_000_000, took: 90 })
  boots.transfer(mac, id, { stage: 'initramfs', bytes: 3_000_000, took: 20 })
  boots.transfer(mac, id, { stage: 'overlay', bytes: 400 })
  boots.discover(mac, 'node')
  await boots.report(mac, id, { stage: 'ready', uptime: 3.1 })
  return id
}

describe('one power-on is one boot', () => {
  test("through firmware's, iPXE's and the running node's DHCP", async () => {
    const id = await powerOn()
    const found = await recorded()
    expect(found.map((boot) => boot.id)).toEqual([id])
    expect(names(found[0])).toEqual([
      'discover firmware',
      'offer firmware',
      'ack firmware',
      'tftp',
      'discover ipxe',
      'script',
      'kernel',
      'initramfs',
      'overlay',
      'discover node',
      'ready',
    ])
  })

  test('and the next power-on is another one, newest first', async () => {
    const first = await powerOn()
    const second = await powerOn()
    expect((await recorded()).map((boot) => boot.id)).toEqual([second, first])
  })

  test('a reset in mid-boot begins another one', async () => {
    boots.discover(mac, 'ipxe')
    const first = boots.script(mac, 'boot').id
    boots.discover(mac, 'ipxe')
    expect(boots.script(mac, 'boot').id).not.toBe(first)
  })

  test('a script asked again while nothing was handed over is a retry of the same', async () => {
    boots.discover(mac, 'ipxe')
    const first = boots.script(mac, 'unassigned').id
    expect(boots.script(mac, 'unassigned').id).toBe(first)
    expect(boots.script(mac, 'boot').id).toBe(first)
    const [boot] = await recorded()
    expect(boot?.stages[1]).toMatchObject({ action: 'unassigned', times: 2 })
  })

  test('without our DHCP, a script after the overlay was fetched begins another one', async () => {
    const first = boots.script(mac, 'boot').id
    boots.transfer(mac, first, { stage: 'overlay' })
    expect(boots.script(mac, 'boot').id).not.toBe(first)
  })

  test("the running node's renewals begin nothing", async () => {
    await powerOn()
    boots.discover(mac, 'node')
    boots.record(mac, { stage: 'ack', by: 'node', address: '10.77.0.50' })
    const found = await recorded()
    expect([found.length, found[0]?.stages.length]).toEqual([1, 11])
  })
})

test('the timeline tells times since the beginning, durations, bytes and a few words', async () => {
  await powerOn()
  const [boot] = await recorded()
  const lines = timeline(boot!)
  expect(lines[6]).toMatchObject({ stage: 'kernel', took: 90, bytes: 14_000_000 })
  expect(lines[2]).toMatchObject({ detail: 'firmware, 10.77.0.50' })
  expect(lines.at(-1)?.since).toBe(boot!.stages.at(-1)!.at - boot!.openedAt)
})

test('a server that takes over knows the boots under way and accepts their reports', async () => {
  boots.discover(mac, 'ipxe')
  const { id } = boots.script(mac, 'boot', { blueprint: 'apache', bundle: 'sha256:x' })
  await boots.flush()
  const next = await Boots.open(state.redis, settings, silent)
  await next.report(mac, id, { stage: 'failed', text: 'it broke\nline' })
  await next.close()
  expect((await recorded())[0]).toMatchObject({ id, outcome: 'failed', reason: 'it broke', lines: ['line'] })
})

test('a node keeps its latest twenty boots, and each of them expires', async () => {
  for (let i = 0; i < 25; i++) {
    boots.discover(mac, 'ipxe')
    boots.script(mac, 'boot')
    await boots.flush()
  }
  const found = await recorded()
  expect(found.length).toBe(20)
  expect(await state.redis.ttl(`bootloom:boot:${found[0]!.id}`)).toBeGreaterThan(86_400)
  expect(await getSighting(state.redis, mac)).toMatchObject({ lastSeen: expect.any(Number) })
})

test('with Redis frozen nothing waits, and all is written once it is back', async () => {
  const pid = Number(/process_id:(\d+)/.exec(await state.redis.info('server'))![1])
  process.kill(pid, 'SIGSTOP')
  const began = performance.now()
  try {
    for (let i = 0; i < 1000; i++) boots.discover(mac, 'ipxe')
  } finally {
    process.kill(pid, 'SIGCONT')
  }
  expect(performance.now() - began).toBeLessThan(500)
  expect((await recorded())[0]?.stages[0]).toMatchObject({ stage: 'discover', times: 1000 })
})
