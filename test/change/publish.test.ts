import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Context, openContext } from '../../src/change/context.ts'
import { makeUp } from '../../src/change/make-up.ts'
import { publish } from '../../src/change/publish.ts'
import { silent } from '../../src/config/log.ts'
import { settingsSchema } from '../../src/config/settings.ts'
import { updateBlueprint } from '../../src/state/blueprints.ts'
import { channelPointers, getHold, moveChannel, rollbackChannel } from '../../src/state/channels.ts'
import { latestEvents } from '../../src/state/events.ts'
import { updateNode } from '../../src/state/nodes.ts'
import { endRollout, leaveRollout, putRollout, type Rollout, rolledOut, takeRollout } from '../../src/state/rollouts.ts'
import { recordGiven, settleTries } from '../../src/state/tries.ts'
import { listWithheld } from '../../src/state/withheld.ts'
import { type Digest, digestOf } from '../../src/store/digest.ts'
import { pattern, putBundle } from '../http/fixture.ts'

const selection = digestOf('selection')
let directory: string
let context: Context
let blueprint: string
/** `bad` is woven at two levels: the same content in other bytes. */
let bundles: Record<'good' | 'bad' | 'badAgain' | 'next' | 'newest', Digest>
let count = 0

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'publish-'))
  context = await openContext(settingsSchema.parse({ state: directory }), silent)
})
afterAll(async () => {
  await context.close()
  await rm(directory, { recursive: true, force: true })
})
beforeEach(async () => {
  blueprint = `shop-${++count}`
  const put = (cmdline: string, seed: number) =>
    putBundle(context.store, { blueprint, cmdline, parts: [pattern(8, seed)] })
  const known = { good: await put('a', 1), bad: await put('b', 2), badAgain: await put('b', 3) }
  bundles = { ...known, next: await put('c', 4), newest: await put('d', 5) }
  await updateBlueprint(context.state.redis, blueprint, () => ({
    name: blueprint,
    yaml: `name: ${blueprint}\n`,
    directory,
    digest: digestOf(blueprint),
    selectionDigest: selection,
    updatedAt: 1,
  }))
  await arrive('good')
  await arrive('bad')
})

const arrive = (name: keyof typeof bundles) =>
  publish(context, { blueprint, bundle: bundles[name], level: 'fast', reason: 'test', woven: [] }, { selection })
const stable = async () => (await channelPointers(context.state.redis, blueprint)).stable
const withheld = async () =>
  (await latestEvents(context.state.redis, 100)).filter(
    (event) => event.event === 'bundle-withheld' && event.blueprint === blueprint && event.channel === 'stable',
  )

test('what somebody rolled back does not come again by itself, at any level, until another bundle was there', async () => {
  await rollbackChannel(context.state.redis, blueprint, 'stable')
  await arrive('bad')
  await arrive('badAgain')
  expect(await stable()).toBe(bundles.good)
  expect(await withheld()).toMatchObject([{ reason: 'rolled back' }, { reason: 'rolled back' }])
  await arrive('next')
  await arrive('badAgain')
  expect(await stable()).toBe(bundles.badAgain)
})

test('a bundle on hold is not published again, at any level; another one is, and ends the hold', async () => {
  const { redis } = context.state
  const mac = `52:54:00:ab:00:0${count}`
  await updateNode(redis, mac, () => ({ mac, groups: [], assignment: { blueprint, channel: 'stable' } }))
  for (const boot of ['1', '2']) await recordGiven(redis, { mac, blueprint, bundle: bundles.bad, boot })
  await settleTries(redis, { mac, unknown: '', tries: 2 })
  expect(await getHold(redis, blueprint)).toMatchObject({ bundle: bundles.bad })
  await arrive('badAgain')
  expect(await stable()).toBe(bundles.bad)
  expect(await withheld()).toMatchObject([{ reason: 'held' }])
  await arrive('next')
  expect(await stable()).toBe(bundles.next)
  expect(await getHold(redis, blueprint)).toBeUndefined()
})

describe('while the channel is under a rollout', () => {
  let token: string
  const rolling = async (from: keyof typeof bundles, to: keyof typeof bundles) => {
    const { redis } = context.state
    const about = { blueprint, channel: 'stable' as const, from: bundles[from], to: bundles[to] }
    const how = { batch: 1, maxFailures: 1, deadline: 60, full: false }
    const rollout = { id: blueprint, ...about, ...how, state: 'running' as const, startedAt: Date.now() }
    await putRollout(redis, rollout, [])
    token = (await takeRollout(redis, blueprint))!
    return rollout
  }
  const end = async (rollout: Rollout, state: 'done' | 'stopped') => {
    const { redis } = context.state
    const { channel, to } = rollout
    if (state === 'done') await moveChannel(redis, { blueprint, channel, digest: to, reason: rolledOut })
    expect(await endRollout(redis, rollout, token, state)).toBe(true)
    await leaveRollout(redis, blueprint, token)
  }
  const left = async () => (await listWithheld(context.state.redis)).length

  test.each(['done', 'stopped'] as const)(
    'what arrives comes once it is over (%s): the newest, and once',
    async (how) => {
      const rollout = await rolling('bad', 'good')
      await arrive('next')
      await arrive('newest')
      expect(await withheld()).toMatchObject([{ reason: 'rollout' }, { reason: 'rollout' }])
      await makeUp(context)
      expect(await stable()).toBe(bundles.bad)
      await end(rollout, how)
      await Promise.all([makeUp(context), makeUp(context)])
      expect(await stable()).toBe(bundles.newest)
      expect(await left()).toBe(0)
      const published = (await latestEvents(context.state.redis, 100)).filter(
        (event) => event.event === 'bundle-published' && event.bundle === bundles.newest,
      )
      expect(published).toHaveLength(1)
    },
  )

  test('neither what it failed with comes after it, nor what it went away from, at any level', async () => {
    await rollbackChannel(context.state.redis, blueprint, 'stable')
    const failed = await rolling('good', 'bad')
    await arrive('badAgain')
    await end(failed, 'stopped')
    await makeUp(context)
    expect(await stable()).toBe(bundles.good)
    await moveChannel(context.state.redis, { blueprint, channel: 'stable', digest: bundles.bad, reason: 'test' })
    const done = await rolling('bad', 'good')
    await arrive('badAgain')
    await end(done, 'done')
    await makeUp(context)
    expect([await stable(), await left()]).toEqual([bundles.good, 0])
  })

  test('nothing comes where somebody moved the channel in between', async () => {
    const rollout = await rolling('bad', 'good')
    await arrive('next')
    await end(rollout, 'done')
    await rollbackChannel(context.state.redis, blueprint, 'stable', bundles.bad)
    await makeUp(context)
    expect([await stable(), await left()]).toEqual([bundles.bad, 0])
  })
})
