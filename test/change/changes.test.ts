import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Context, openContext } from '../../src/change/context.ts'
import { impactOf } from '../../src/change/impact/impact.ts'
import { type ImpactJob, impactWork, performImpact } from '../../src/change/impact/jobs.ts'
import { openFromSources } from '../../src/change/pipeline/open.ts'
import { newPart } from '../../src/change/pipeline/part.ts'
import { silent } from '../../src/config/log.ts'
import { settingsSchema } from '../../src/config/settings.ts'
import { updateBlueprint } from '../../src/state/blueprints.ts'
import { openChange } from '../../src/state/change-opening.ts'
import { type ChangeUpdate, getChange, listChanges, openParts, updatePart } from '../../src/state/changes.ts'
import { putPin, removePin } from '../../src/state/pins.ts'
import { digestOf } from '../../src/store/digest.ts'
import { publishBundle, putComponent } from './impact-stacks.ts'

let directory: string
let context: Context
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'c-'))
  context = await openContext(settingsSchema.parse({ state: directory }), silent)
})
afterAll(async () => {
  await context.close()
  await rm(directory, { recursive: true, force: true })
})
beforeEach(async () => {
  await context.state.redis.flushall()
})

const update = (name: string, to: string, from = '1'): ChangeUpdate => ({
  ...{ kind: 'deb', name, from, to },
  ...{ files: 1, suites: [], fixes: [] },
})
const open = (blueprint: string, ...updates: ChangeUpdate[]) =>
  openChange(context.state.redis, 'sources', [{ part: newPart(blueprint, 'detected'), updates }])
const brings = async (id: string, blueprint: string) => {
  const { parts } = await getChange(context.state.redis, id)
  return parts.find((part) => part.blueprint === blueprint)!.updates.map(({ name, to }) => `${name} ${to}`)
}

describe('changes that come one after the other', () => {
  it('join the one before of the same blueprint until that is woven, and are changes of their own after it', async () => {
    const { redis } = context.state
    expect(await open('web', update('libssl3', '2'))).toEqual([{ change: '1', blueprint: 'web' }])
    expect(await open('web', update('zlib1g', '2'))).toEqual([{ change: '1', blueprint: 'web' }])
    expect(await brings('1', 'web')).toEqual(['libssl3 2', 'zlib1g 2'])
    expect(await open('mail', update('libssl3', '2'))).toEqual([{ change: '2', blueprint: 'mail' }])
    await updatePart(redis, { change: '1', blueprint: 'web' }, (part) => ({ ...part, state: 'woven' }))
    expect(await open('web', update('libssl3', '3'))).toEqual([{ change: '3', blueprint: 'web' }])
    expect(await openParts(redis)).toEqual([
      { change: '1', blueprint: 'web' },
      { change: '2', blueprint: 'mail' },
      { change: '3', blueprint: 'web' },
    ])
  })

  it('are not opened again by what an earlier one was about, however it ended', async () => {
    const { redis } = context.state
    await open('web', update('libssl3', '2'))
    await updatePart(redis, { change: '1', blueprint: 'web' }, (part) => ({ ...part, state: 'held' }))
    expect(await openParts(redis)).toEqual([])
    expect(await open('web', update('libssl3', '2'))).toEqual([])
    expect(await open('web', update('libssl3', '2'), update('libssl3', '3'))).toEqual([
      { change: '2', blueprint: 'web' },
    ])
  })

  it('are told of once, however many find them at the same moment', async () => {
    const found = await Promise.all(Array.from({ length: 20 }, () => open('web', update('libssl3', '2'))))
    expect(found.flat()).toEqual([{ change: '1', blueprint: 'web' }])
    expect(await listChanges(context.state.redis)).toHaveLength(1)
  })
})

describe('what the sources offer', () => {
  const ssl = (version: string) =>
    putComponent(context, 'libssl3', version, { '/lib.so': `code ${version}`, '/copyright': 'text' })
  const fleet = async () => {
    const app = await putComponent(context, 'app', '1', { '/app': 'app' })
    const library = await ssl('1')
    await ssl('2')
    await publishBundle(context, 'web', [app, library], ['/app', '/lib.so'])
    await publishBundle(context, 'mail', [app, library], ['/lib.so'])
    await publishBundle(context, 'batch', [app, library], ['/app'])
    await publishBundle(context, 'licences', [app, library], ['/copyright'])
    for (const name of ['web', 'mail', 'batch', 'licences']) {
      await updateBlueprint(context.state.redis, name, (current) => ({ ...current!, selectionDigest: digestOf(name) }))
    }
  }
  const detect = async (asked: readonly string[] = []) => {
    const work = impactWork(
      async (job: ImpactJob) =>
        (await performImpact(job, { context, progress: () => {}, signal: new AbortController().signal })) as never,
    )
    const opened = await openFromSources(context, await impactOf({ package: 'libssl3=2' }, context, work), asked)
    return opened.length === 0 ? undefined : getChange(context.state.redis, opened[0]!.change)
  }
  const shown = (change: Awaited<ReturnType<typeof detect>>) =>
    Object.fromEntries(change!.parts.map(({ blueprint, state, why }) => [blueprint, why ? `${state}: ${why}` : state]))

  it('becomes one change: to be woven where a file of the bundle differs, ended with the reason elsewhere', async () => {
    await fleet()
    const change = await detect()
    expect(shown(change)).toEqual({
      web: 'detected',
      mail: 'detected',
      batch: 'unaffected: nothing of it is in the bundle',
      licences: 'unaffected: no file that the bundle keeps differs',
    })
    expect(change!.parts.find(({ blueprint }) => blueprint === 'web')).toMatchObject({
      impact: { files: 1, paths: ['/lib.so'] },
      updates: [{ kind: 'deb', name: 'libssl3', from: '1', to: '2', files: 1 }],
    })
    expect(await detect()).toBeUndefined()
  })

  it('does not move a blueprint that is pinned, and says why; it moves once the pin is gone', async () => {
    await fleet()
    const pin = { blueprint: 'web', package: 'libssl3', version: '1', reason: 'TICKET-17', at: 1 }
    await putPin(context.state.redis, { ...pin, until: Date.now() + 1000_000 })
    expect(shown(await detect())).toMatchObject({
      web: 'unaffected: libssl3 is pinned to 1: TICKET-17',
      mail: 'detected',
    })
    expect(await detect()).toBeUndefined()
    await removePin(context.state.redis, 'web', 'libssl3')
    expect(shown(await detect())).toEqual({ web: 'detected' })
  })

  it('is woven for whom somebody asked, whatever the index says', async () => {
    await fleet()
    expect(shown(await detect(['batch']))).toEqual({ batch: 'detected' })
  })
})
