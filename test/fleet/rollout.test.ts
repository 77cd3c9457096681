import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { silent } from '../../src/config/log.ts'
import { RolloutDriver } from '../../src/fleet/rollout/driver.ts'
import { rolloutRoutes } from '../../src/http/api/rollouts.ts'
import { ApiClient } from '../../src/http/api-client.ts'
import { type ApiServer, buildApi, listenApi } from '../../src/http/api-server.ts'
import { updateBlueprint } from '../../src/state/blueprints.ts'
import { channelPointers, moveChannel } from '../../src/state/channels.ts'
import { latestEvents } from '../../src/state/events.ts'
import { keys } from '../../src/state/keys.ts'
import { updateNode } from '../../src/state/nodes.ts'
import type { Rollout, RolloutNode } from '../../src/state/rollouts.ts'
import { type Digest, digestOf } from '../../src/store/digest.ts'
import { type Fixture, putBundle, startFixture } from '../http/fixture.ts'
import { SimulatedNode } from './simulated-node.ts'

let fixture: Fixture
let server: ApiServer
let api: ApiClient
let driver: RolloutDriver | undefined
let good: Digest
let next: Digest
let blueprint: string
let fleet: SimulatedNode[] = []
let count = 0

beforeAll(async () => {
  fixture = await startFixture()
  const app = await buildApi({ ...fixture, log: silent, routes: [rolloutRoutes] })
  server = await listenApi(app, join(fixture.directory, 'api.sock'))
  api = new ApiClient(server.socket)
})
afterAll(async () => {
  await api.close()
  await server.close()
  await fixture.close()
})
beforeEach(async () => {
  blueprint = `shop-${++count}`
  good = await putBundle(fixture.store, { blueprint, cmdline: 'good' })
  next = await putBundle(fixture.store, { blueprint, cmdline: 'next' })
  const { redis } = fixture.state
  const record = { name: blueprint, yaml: '', directory: '/', digest: digestOf(blueprint), updatedAt: 1 }
  await updateBlueprint(redis, blueprint, () => record)
  await moveChannel(redis, { blueprint, channel: 'stable', digest: good, reason: 'test' })
  await moveChannel(redis, { blueprint, channel: 'candidate', digest: next, reason: 'test' })
})
afterEach(async () => {
  await driver?.close()
  driver = undefined
  await Promise.all(fleet.map((node) => node.stop()))
  fleet = []
})

/** Nodes that serve with the good bundle; those of `bad` never come up with the next one. */
async function powerOn(nodes: number, bad: readonly number[] = []): Promise<void> {
  for (let i = 0; i < nodes; i++) {
    const mac = `52:54:00:${count.toString(16).padStart(2, '0')}:00:${i.toString(16).padStart(2, '0')}`
    const assignment = { blueprint, channel: 'stable' } as const
    await updateNode(fixture.state.redis, mac, () => ({ mac, groups: [], assignment }))
    fleet.push(new SimulatedNode(fixture.server.url, mac, (bundle) => bundle !== next || !bad.includes(i)))
  }
  await expect.poll(() => fleet.map(({ serves }) => serves), { timeout: 25_000 }).toEqual(fleet.map(() => good))
}

const drive = () => {
  const { state, store, settings } = fixture
  driver = new RolloutDriver({ redis: state.redis, store, settings, log: silent })
}

const start = (options: object = {}) =>
  api.request<Rollout>('POST', '/v1/rollouts', { blueprint, batch: '25%', deadline: 20, ...options })
const status = () => api.request<{ rollout: Rollout; nodes: RolloutNode[] }>('GET', `/v1/rollouts/${blueprint}`)
const ended = (state: Rollout['state'], timeout = 20_000) =>
  expect.poll(async () => (await status()).rollout.state, { timeout }).toBe(state)
const pointer = async () => (await channelPointers(fixture.state.redis, blueprint)).stable

test('one node goes first, then batches; the channel moves when all have come up', async () => {
  await powerOn(5)
  const log = join(fixture.directory, `log-${count}`)
  const command = (what: string) => `echo ${what} $NODE_MAC >>${log}`
  await start({ batch: '40%', drain: command('drain'), undrain: command('undrain') })
  drive()
  const most: number[] = []
  while ((await status()).rollout.state === 'running') {
    const moved = fleet.filter(({ given }) => given.at(-1) === next).length
    const down = fleet.filter(({ serves }) => serves === undefined).length
    most[moved] = Math.max(most[moved] ?? 0, down)
    if (moved < fleet.length) expect(await pointer()).toBe(good)
    await sleep(10)
  }
  await ended('done')
  expect(await pointer()).toBe(next)
  expect(fleet.map(({ given }) => given)).toEqual(fleet.map(() => [good, next]))
  expect(Math.max(...most.filter((down) => down !== undefined))).toBeLessThanOrEqual(2)
  const lines = (await readFile(log, 'utf8')).trimEnd().split('\n')
  const first = fleet[0]!.mac
  expect(lines.slice(0, 2)).toEqual([`drain ${first}`, `undrain ${first}`])
  for (const { mac } of fleet)
    expect(lines.filter((line) => line.endsWith(mac))).toEqual([`drain ${mac}`, `undrain ${mac}`])
})

test('a node that never comes up with it stops the rollout, and all are back on the old bundle', async () => {
  await powerOn(5, [2])
  await start()
  drive()
  await ended('stopped')
  expect(await pointer()).toBe(good)
  expect(fleet.map(({ serves }) => serves)).toEqual(fleet.map(() => good))
  const { rollout, nodes } = await status()
  expect(rollout.reason).toContain(fleet[2]!.mac)
  expect(nodes.filter(({ failed }) => failed !== undefined).map(({ mac }) => mac)).toEqual([fleet[2]!.mac])
  // Those whose turn had not come never saw it.
  expect(fleet.slice(3).flatMap(({ given }) => given)).toEqual([good, good])
  const told = (await latestEvents(fixture.state.redis, 200)).map(({ event }) => event)
  expect(told).toEqual(expect.arrayContaining(['rollout-stopped', 'rollout-undone']))
})

test('failures below the limit are left behind on the old bundle, but for the very first node', async () => {
  await powerOn(4, [3])
  await start({ maxFailures: 2, batch: '2' })
  drive()
  await ended('done')
  expect(await pointer()).toBe(next)
  expect(fleet.map(({ serves }) => serves)).toEqual([next, next, next, good])
  await driver?.close()
  await moveChannel(fixture.state.redis, { blueprint, channel: 'stable', digest: good, reason: 'test' })
  await start({ maxFailures: 2, canary: fleet[3]!.mac })
  drive()
  await ended('stopped')
})

test('a drain command that fails, or is not done in time, is the failure of its node, which is not touched', async () => {
  await powerOn(2)
  await start({ drain: 'sleep 60', deadline: 5 })
  drive()
  await ended('stopped')
  expect((await status()).rollout.reason).toContain('drain: not done within 5 s')
  expect(fleet.map(({ given }) => given)).toEqual([[good], [good]])
})

test('no automatism moves the channel meanwhile; a person who does ends the rollout, and no node is restarted', async () => {
  await powerOn(2)
  const { redis } = fixture.state
  await start({ drain: 'sleep 2' })
  const move = { blueprint, channel: 'stable', digest: next, reason: 'test' } as const
  await expect(moveChannel(redis, { ...move, automatic: { held: null } })).rejects.toMatchObject({
    code: 'ROLLOUT_UNDER_WAY',
  })
  const other = await putBundle(fixture.store, { blueprint, cmdline: 'other' })
  await moveChannel(redis, { ...move, digest: other })
  drive()
  await ended('stopped')
  expect(await pointer()).toBe(other)
  expect(fleet.map(({ given }) => given)).toEqual([[good], [good]])
})

test('paused it begins no further node; aborted it brings back what moved', async () => {
  await powerOn(4)
  await start({ batch: '1' })
  drive()
  await expect.poll(() => fleet[0]!.serves, { timeout: 25_000 }).toBe(next)
  await api.request('POST', `/v1/rollouts/${blueprint}/pause`, {})
  await sleep(800)
  const moved = fleet.filter(({ serves }) => serves === next).length
  await sleep(800)
  expect(fleet.filter(({ serves }) => serves === next)).toHaveLength(moved)
  expect(moved).toBeLessThan(4)
  await expect(start()).rejects.toMatchObject({ code: 'ROLLOUT_UNDER_WAY' })
  await api.request('POST', `/v1/rollouts/${blueprint}/abort`, {})
  await ended('aborted')
  expect(fleet.map(({ serves }) => serves)).toEqual(fleet.map(() => good))
  await expect(api.request('POST', `/v1/rollouts/${blueprint}/resume`, {})).rejects.toMatchObject({
    code: 'ROLLOUT_UNKNOWN',
  })
})

/** Gives a node a power controller, which calls this when it is to restart the machine. */
async function controlPower({ mac }: SimulatedNode, restart: () => void): Promise<Server> {
  const system = '/redfish/v1/Systems/1'
  const controller = createServer((request, response) => {
    if (request.method === 'POST') restart()
    const Actions = { '#ComputerSystem.Reset': { target: `${system}/Actions/ComputerSystem.Reset` } }
    response.end(JSON.stringify({ Members: [{ '@odata.id': system }], PowerState: 'On', Actions }))
  })
  await new Promise<void>((resolve) => controller.listen(0, '127.0.0.1', resolve))
  const power = `redfish+http://127.0.0.1:${(controller.address() as AddressInfo).port}`
  await api.request('PUT', `/v1/nodes/${mac}`, { power })
  return controller
}

test('a node that does not take its order is restarted by its power controller', async () => {
  await powerOn(1)
  const [node] = fleet
  node!.deaf = true
  const controller = await controlPower(node!, () => node!.reset())
  try {
    await start({ deadline: 6 })
    drive()
    await ended('done')
    expect(node!.given).toEqual([good, next])
  } finally {
    controller.close()
  }
})

describe('a server that is killed', () => {
  const servers: ChildProcess[] = []
  const another = async () => {
    const script = fileURLToPath(new URL('./drive-until-killed.ts', import.meta.url))
    const child = spawn(process.execPath, [script, fixture.directory], { stdio: ['ignore', 'pipe', 'inherit'] })
    servers.push(child)
    await once(child.stdout!, 'data')
    return child
  }
  afterEach(() => servers.splice(0).map((child) => child.kill('SIGKILL')))

  test('leaves its rollout to another one, which ends it; two of them move no node twice', {
    timeout: 60_000,
  }, async () => {
    await powerOn(6)
    await start({ batch: '2' })
    const [first, second] = await Promise.all([another(), another()])
    await expect.poll(() => fleet.some(({ given }) => given.length > 1), { timeout: 25_000 }).toBe(true)
    first!.kill('SIGKILL')
    await expect
      .poll(() => fleet.filter(({ given }) => given.length > 1).length, { timeout: 20_000 })
      .toBeGreaterThan(2)
    await another()
    second!.kill('SIGKILL')
    await ended('done', 40_000)
    expect(fleet.map(({ given }) => given)).toEqual(fleet.map(() => [good, next]))
  })

  test('leaves its command running, which is not run again, and whose outcome counts', {
    timeout: 30_000,
  }, async () => {
    await powerOn(1)
    const log = join(fixture.directory, `log-${count}`)
    const lines = () => readFile(log, 'utf8').catch(() => '')
    await start({
      drain: `echo begun >>${log}; echo; sleep 3; echo; echo drained >>${log}`,
      undrain: `echo up >>${log}`,
    })
    const first = await another()
    await expect.poll(lines, { timeout: 25_000 }).toBe('begun\n')
    first.kill('SIGKILL')
    await another()
    await ended('done')
    expect(await lines()).toBe('begun\ndrained\nup\n')
  })

  test.each([
    ['restarted', 'is not restarted again, though its firmware is slow', 1],
    ['only meant to restart', 'is restarted by the next one', 2],
  ])('that had %s a node leaves it as it is: the node %s', { timeout: 30_000 }, async (when, _then, asked) => {
    await powerOn(1)
    const [node] = fleet
    node!.deaf = true
    // Nothing was heard of it for long; what it asked last has come.
    await sleep(300)
    const { redis } = fixture.state
    const run = JSON.parse((await redis.hget(keys.runs(), node!.mac))!)
    await redis.hset(keys.runs(), node!.mac, JSON.stringify({ ...run, at: 0 }))
    await redis.zrem(keys.heard(), node!.mac)
    let first: ChildProcess | undefined
    let times = 0
    const controller = await controlPower(node!, () => {
      times++
      if (times > 1) return node!.reset()
      // Its firmware takes longer than another server to take over.
      if (when === 'restarted') setTimeout(() => node!.reset(), 6500)
      first!.kill('SIGKILL')
    })
    try {
      await start({ deadline: 32 })
      first = await another()
      await expect.poll(() => times, { timeout: 25_000 }).toBe(1)
      await another()
      await ended('done')
      expect(times).toBe(asked)
      expect(node!.given).toEqual([good, next])
    } finally {
      controller.close()
    }
  })
})

test('what cannot be rolled out is refused', async () => {
  await expect(start()).rejects.toMatchObject({ code: 'ROLLOUT_UNFIT' })
  await powerOn(1)
  await expect(start({ to: 'stable' })).rejects.toMatchObject({ code: 'ROLLOUT_UNFIT' })
  await expect(start({ batch: '0' })).rejects.toMatchObject({ code: 'USAGE' })
  await expect(start({ canary: '52:54:00:00:00:99' })).rejects.toMatchObject({ code: 'ROLLOUT_UNFIT' })
})
