import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { silent } from '../../src/config/log.ts'
import { Assignments } from '../../src/fleet/assignment.ts'
import { moveChannel } from '../../src/state/channels.ts'
import { putGroup } from '../../src/state/groups.ts'
import { type Assignment, updateNode } from '../../src/state/nodes.ts'
import { openState, type State } from '../../src/state/redis.ts'
import { type Digest, digestOf } from '../../src/store/digest.ts'

let directory: string
let state: State

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fleet-'))
  state = await openState({ directory }, silent)
  await move('apache', 'stable', digestOf('apache 1'))
  await move('apache', 'candidate', digestOf('apache 2'))
  await move('redis', 'stable', digestOf('redis 1'))
})
afterAll(async () => {
  await state.close()
  await rm(directory, { recursive: true, force: true })
})

const move = (blueprint: string, channel: 'stable' | 'candidate', digest: Digest) =>
  moveChannel(state.redis, { blueprint, channel, digest, reason: 'test' })

let count = 0
async function node(groups: string[], assignment?: Assignment): Promise<string> {
  const mac = `52:54:00:bb:00:${(++count).toString(16).padStart(2, '0')}`
  await updateNode(state.redis, mac, () => ({ mac, groups, ...(assignment ? { assignment } : {}) }))
  return mac
}

const fleet = { tries: 2, deadline: 600, heartbeat: 15 }
const settings = { unknown: { action: 'reject' }, fleet } as const
const resolve = (mac: string) => new Assignments(state.redis, settings, silent).resolve(mac)

test("a node's own assignment comes before those of its groups, and these in their order", async () => {
  await putGroup(state.redis, { name: 'empty' })
  await putGroup(state.redis, { name: 'web', assignment: { blueprint: 'apache', channel: 'candidate' } })
  await putGroup(state.redis, { name: 'cache', assignment: { blueprint: 'redis', channel: 'stable' } })
  const own = await node(['web'], { blueprint: 'redis', channel: 'stable' })
  expect(await resolve(own)).toMatchObject({ action: 'boot', blueprint: 'redis', via: 'node' })
  const grouped = await node(['gone', 'empty', 'web', 'cache'])
  expect(await resolve(grouped)).toMatchObject({ via: 'group web', bundle: digestOf('apache 2'), channel: 'candidate' })
  expect(await resolve(await node(['cache', 'web']))).toMatchObject({ via: 'group cache' })
})

test('a pinned bundle stays where a channel moves on', async () => {
  const pinned = await node([], { blueprint: 'apache', bundle: digestOf('apache 0') })
  const following = await node([], { blueprint: 'apache', channel: 'stable' })
  await move('apache', 'stable', digestOf('apache 3'))
  expect(await resolve(pinned)).toMatchObject({ bundle: digestOf('apache 0') })
  expect(await resolve(following)).toMatchObject({ bundle: digestOf('apache 3') })
})

test('a blueprint without a bundle on the channel is not ready', async () => {
  const mac = await node([], { blueprint: 'postgres', channel: 'stable' })
  expect(await resolve(mac)).toMatchObject({ action: 'not-ready', blueprint: 'postgres', channel: 'stable' })
})

test('an unknown MAC gets what the settings say', async () => {
  const mac = '52:54:00:ff:ff:ff'
  const answer = (unknown: ConstructorParameters<typeof Assignments>[1]['unknown']) =>
    new Assignments(state.redis, { unknown, fleet }, silent).resolve(mac)
  expect(await answer({ action: 'reject' })).toEqual({ action: 'unassigned' })
  expect(await answer({ action: 'local' })).toEqual({ action: 'local' })
  expect(await answer({ action: 'blueprint', blueprint: 'redis' })).toMatchObject({
    via: 'unknown',
    blueprint: 'redis',
  })
})

test('with Redis hanging a known node still gets its answer, and an unknown one an error', async () => {
  const place = await mkdtemp(join(tmpdir(), 'fleet-'))
  const doomed = await openState({ directory: place }, silent)
  try {
    const mac = '52:54:00:cc:00:01'
    const assignment = { blueprint: 'apache', bundle: digestOf('apache 0') }
    await updateNode(doomed.redis, mac, () => ({ mac, groups: [], assignment }))
    const assignments = new Assignments(doomed.redis, settings, silent)
    const before = await assignments.resolve(mac)
    const pid = Number(/process_id:(\d+)/.exec(await doomed.redis.info('server'))![1])
    // An ended one is started anew at once, and a connection that hangs is the harder case.
    process.kill(pid, 'SIGSTOP')
    try {
      const began = Date.now()
      expect(await assignments.resolve(mac)).toEqual(before)
      expect(Date.now() - began).toBeLessThan(2000)
      await expect(assignments.resolve('52:54:00:cc:00:02')).rejects.toMatchObject({ code: 'REDIS_UNREACHABLE' })
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    expect(await assignments.resolve('52:54:00:cc:00:02')).toEqual({ action: 'unassigned' })
  } finally {
    await doomed.close()
    await rm(place, { recursive: true, force: true })
  }
})
