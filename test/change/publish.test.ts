import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Context, openContext } from '../../src/change/context.ts'
import { publish } from '../../src/change/publish.ts'
import { silent } from '../../src/config/log.ts'
import { settingsSchema } from '../../src/config/settings.ts'
import { updateBlueprint } from '../../src/state/blueprints.ts'
import { channelPointers, getHold, rollbackChannel } from '../../src/state/channels.ts'
import { latestEvents } from '../../src/state/events.ts'
import { updateNode } from '../../src/state/nodes.ts'
import { recordGiven, settleTries } from '../../src/state/tries.ts'
import { type Digest, digestOf } from '../../src/store/digest.ts'
import { pattern, putBundle } from '../http/fixture.ts'

const selection = digestOf('selection')
let directory: string
let context: Context
let blueprint: string
/** `bad` is woven at two levels: the same content in other bytes. */
let bundles: Record<'good' | 'bad' | 'badAgain' | 'next', Digest>
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
  bundles = { good: await put('a', 1), bad: await put('b', 2), badAgain: await put('b', 3), next: await put('c', 4) }
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
