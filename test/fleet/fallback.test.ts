import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { silent } from '../../src/config/log.ts'
import { Assignments } from '../../src/fleet/assignment.ts'
import { Boots } from '../../src/fleet/boots.ts'
import { recordContent } from '../../src/state/bundles.ts'
import { getHold, moveChannel, releaseHold, rollbackChannel } from '../../src/state/channels.ts'
import { latestEvents } from '../../src/state/events.ts'
import { type Assignment, updateNode } from '../../src/state/nodes.ts'
import { openState, type State } from '../../src/state/redis.ts'
import { getTries } from '../../src/state/tries.ts'
import { type Digest, digestOf } from '../../src/store/digest.ts'

const settings = { unknown: { action: 'reject' }, fleet: { tries: 2, deadline: 600, heartbeat: 15 } } as const
/** Gives a boot up after half a minute, at its first try. */
const impatient = { ...settings, fleet: { tries: 1, deadline: 30, heartbeat: 15 } } as const
let directory: string
let state: State
let boots: Boots
let blueprint: string
let count = 0

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fallback-'))
  state = await openState({ directory }, silent)
  boots = await Boots.open(state.redis, settings, silent)
})
afterAll(async () => {
  await boots.close()
  await state.close()
  await rm(directory, { recursive: true, force: true })
})
beforeEach(async () => {
  blueprint = `shop-${++count}`
  await publish('good')
})

const digest = (name: string): Digest => digestOf(`${blueprint} ${name}`)
const publish = (name: string, automatic?: { held: Digest | null }) =>
  moveChannel(state.redis, {
    blueprint,
    channel: 'stable',
    digest: digest(name),
    reason: 'test',
    ...(automatic ? { automatic } : {}),
  })

let nodes = 0
async function node(groups: string[] = [], assignment: Assignment = { blueprint, channel: 'stable' }): Promise<string> {
  const mac = `52:54:00:fa:00:${(++nodes).toString(16).padStart(2, '0')}`
  await updateNode(state.redis, mac, () => ({ mac, groups, assignment }))
  return mac
}

const resolve = async (mac: string) => {
  await boots.flush()
  const answer = await new Assignments(state.redis, settings, silent).resolve(mac)
  if (answer.action !== 'boot') throw new Error(answer.action)
  return answer
}

/** A boot as every road begins it; returns the bundle given. */
async function boot(mac: string, end: 'ready' | 'silent' | 'before the overlay' | 'failed'): Promise<Digest> {
  const { bundle, gaveUp } = await resolve(mac)
  boots.discover(mac, 'ipxe')
  const { id } = boots.script(mac, 'boot', { blueprint, bundle, gaveUp })
  boots.transfer(mac, id, { stage: 'initramfs', bytes: 1 })
  if (end !== 'before the overlay') boots.transfer(mac, id, { stage: 'overlay', bytes: 1 })
  if (end === 'failed') await boots.report(mac, id, { stage: 'failed', text: 'it ended' })
  if (end === 'ready') await boots.report(mac, id, { stage: 'ready' })
  await boots.flush()
  return bundle
}

const eventsOf = async (mac: string) => (await latestEvents(state.redis, 200)).filter((event) => event.mac === mac)

test('after two boots that were not ready a node gets its last good bundle, once told and with the channel on hold', async () => {
  const mac = await node()
  expect(await boot(mac, 'ready')).toBe(digest('good'))
  await publish('bad')
  expect([await boot(mac, 'silent'), await boot(mac, 'failed')]).toEqual([digest('bad'), digest('bad')])
  expect(await boot(mac, 'ready')).toBe(digest('good'))
  expect(await boot(mac, 'ready')).toBe(digest('good'))

  const told = (await eventsOf(mac)).filter(({ event }) => /fell|held/.test(event))
  expect(told).toMatchObject([
    { event: 'node-fell-back', blueprint, bundle: digest('bad'), given: digest('good'), tries: 2 },
    { event: 'channel-held', blueprint, channel: 'stable', bundle: digest('bad') },
  ])
  expect(await getHold(state.redis, blueprint)).toMatchObject({ bundle: digest('bad'), channel: 'stable', mac })
  expect(await resolve(mac)).toMatchObject({ bundle: digest('good'), gaveUp: digest('bad') })
})

test('a boot that never got all of the bundle is no try, and one ready in between takes the first away', async () => {
  const mac = await node()
  await publish('slow')
  await boot(mac, 'before the overlay')
  await boot(mac, 'before the overlay')
  await boot(mac, 'silent')
  await boot(mac, 'ready')
  await boot(mac, 'silent')
  expect(await resolve(mac)).toMatchObject({ bundle: digest('slow') })
  expect(await getHold(state.redis, blueprint)).toBeUndefined()
})

test('ready after failed is ready: the application was slow', async () => {
  const mac = await node()
  for (let i = 0; i < 3; i++) {
    const { bundle } = await resolve(mac)
    const { id } = boots.script(mac, 'boot', { blueprint, bundle })
    boots.transfer(mac, id, { stage: 'overlay' })
    await boots.report(mac, id, { stage: 'failed', text: 'no answer yet' })
    await boots.report(mac, id, { stage: 'ready' })
  }
  expect(await resolve(mac)).toMatchObject({ bundle: digest('good') })
  expect(await getTries(state.redis, blueprint, mac)).toEqual([])
})

describe('a node that was never ready itself', () => {
  test('gets the newest bundle of its group, before that of any other node', async () => {
    await boot(await node(['web']), 'ready')
    await publish('other')
    await boot(await node(['db']), 'ready')
    await publish('bad')
    const mac = await node(['web'])
    await boot(mac, 'silent')
    await boot(mac, 'silent')
    expect(await resolve(mac)).toMatchObject({ bundle: digest('good') })
    const alone = await node()
    await boot(alone, 'silent')
    await boot(alone, 'silent')
    expect(await resolve(alone)).toMatchObject({ bundle: digest('other') })
  })

  test('gets what it is assigned all the same while nothing else was ever ready, and it is told', async () => {
    const mac = await node()
    for (let i = 0; i < 3; i++) expect(await boot(mac, 'silent')).toBe(digest('good'))
    const told = (await eventsOf(mac)).filter(({ event }) => event === 'node-fell-back')
    expect(told).toMatchObject([{ bundle: digest('good'), given: digest('good') }])
    expect(await getHold(state.redis, blueprint)).toMatchObject({ bundle: digest('good') })
  })

  test('goes on to the next when the one that it fell back to does not come up either', async () => {
    await boot(await node(), 'ready')
    await publish('second')
    await boot(await node(), 'ready')
    await publish('bad')
    const mac = await node()
    for (const name of ['bad', 'bad', 'second', 'second', 'good']) expect(await boot(mac, 'silent')).toBe(digest(name))
  })
})

test('a pinned bundle falls back, too, and holds no channel', async () => {
  await boot(await node(), 'ready')
  const mac = await node([], { blueprint, bundle: digest('pinned') })
  for (const name of ['pinned', 'pinned', 'good']) expect(await boot(mac, 'silent')).toBe(digest(name))
  expect(await getHold(state.redis, blueprint)).toBeUndefined()
})

test('the same content at another level has no tries of its own', async () => {
  const mac = await node()
  await boot(mac, 'ready')
  for (const level of ['fast', 'thorough']) await recordContent(state.redis, digest(level), digest('content'))
  await publish('fast')
  await boot(mac, 'silent')
  await publish('thorough')
  await boot(mac, 'silent')
  expect(await boot(mac, 'ready')).toBe(digest('good'))
  const told = (await eventsOf(mac)).filter(({ event }) => event === 'node-fell-back')
  expect(told).toMatchObject([{ bundle: digest('thorough'), tries: 2 }])
  expect(await getHold(state.redis, blueprint)).toMatchObject({ bundle: digest('thorough') })
})

describe('a hold', () => {
  let mac: string
  beforeEach(async () => {
    mac = await node()
    await boot(mac, 'ready')
    await publish('bad')
    for (const end of ['silent', 'silent', 'ready'] as const) await boot(mac, end)
  })

  test('keeps automatisms from the bundle, and from moving without knowing of it', async () => {
    await expect(publish('bad', { held: digest('bad') })).rejects.toMatchObject({ code: 'CHANNEL_HELD' })
    await expect(publish('next', { held: null })).rejects.toMatchObject({ code: 'CHANNEL_HELD' })
  })

  test('ends with a new bundle, which the node gets', async () => {
    expect(await publish('next', { held: digest('bad') })).toBe(true)
    expect(await getHold(state.redis, blueprint)).toBeUndefined()
    expect(await boot(mac, 'ready')).toBe(digest('next'))
  })

  test('ends with a rollback', async () => {
    expect(await rollbackChannel(state.redis, blueprint, 'stable')).toBe(digest('good'))
    expect(await getHold(state.redis, blueprint)).toBeUndefined()
    const answer = await resolve(mac)
    expect(answer).toMatchObject({ bundle: digest('good') })
    expect(answer.gaveUp).toBeUndefined()
  })

  test('ends when it is released, and the node tries the bundle again', async () => {
    expect(await releaseHold(state.redis, blueprint)).toBe(true)
    expect(await boot(mac, 'ready')).toBe(digest('bad'))
    expect(await releaseHold(state.redis, blueprint)).toBe(false)
  })
})

test('a node that hangs is given up at its deadline, though it never asks again', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] })
  const watched = await Boots.open(state.redis, impatient, silent)
  try {
    const mac = await node()
    const { id } = watched.script(mac, 'boot', { blueprint, bundle: digest('good') })
    watched.transfer(mac, id, { stage: 'overlay' })
    await watched.flush()
    vi.advanceTimersByTime(25_000)
    expect(watched.underWay(mac)).toBeDefined()
    vi.advanceTimersByTime(15_000)
    await vi.waitFor(() => expect(watched.underWay(mac)).toBeUndefined(), 20_000)
    await watched.flush()
    const told = (await eventsOf(mac)).map(({ event }) => event)
    expect(told).toEqual(expect.arrayContaining(['boot-failed', 'node-fell-back', 'channel-held']))
  } finally {
    vi.useRealTimers()
    await watched.close()
  }
})

test('a boot that was ready by the account of another server is not given up', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] })
  const other = await Boots.open(state.redis, settings, silent)
  const watched = await Boots.open(state.redis, impatient, silent)
  try {
    const mac = await node()
    const { id } = watched.script(mac, 'boot', { blueprint, bundle: digest('good') })
    watched.transfer(mac, id, { stage: 'overlay' })
    await watched.flush()
    vi.advanceTimersByTime(1000)
    await other.report(mac, id, { stage: 'ready' })
    await other.flush()
    vi.advanceTimersByTime(60_000)
    await vi.waitFor(() => expect(watched.underWay(mac)).toBeUndefined(), 20_000)
    expect((await eventsOf(mac)).map(({ event }) => event)).toEqual(['boot-ready'])
  } finally {
    vi.useRealTimers()
    await watched.close()
    await other.close()
  }
})
