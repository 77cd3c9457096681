import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { applyBlueprint } from '../../src/change/applied.ts'
import { type Context, openContext } from '../../src/change/context.ts'
import { approve, hold, retry, rollBack, settleArrived } from '../../src/change/pipeline/decide.ts'
import { takeRoad } from '../../src/change/pipeline/road.ts'
import { composeBlueprint, refreshBlueprint } from '../../src/change/weave.ts'
import { silent } from '../../src/config/log.ts'
import { settingsSchema } from '../../src/config/settings.ts'
import { getBlueprint } from '../../src/state/blueprints.ts'
import { type Boot, putBoots } from '../../src/state/boots.ts'
import { listChanges, updatePart } from '../../src/state/changes.ts'
import { channelPointers, getChannels, moveChannel } from '../../src/state/channels.ts'
import { getNode, updateNode } from '../../src/state/nodes.ts'
import { askOrder, getOrder } from '../../src/state/orders.ts'
import { endRollout, putRollout, rolledOut, takeRollout } from '../../src/state/rollouts.ts'
import { recordReady } from '../../src/state/tries.ts'
import type { Digest } from '../../src/store/digest.ts'
import { sitePort, smallBlueprint, starting, workOf } from './small-blueprint.ts'

const asRoot = process.getuid?.() === 0
/** Open at all times: a gate that lets everything through. */
const open = 'windows: [{ from: "00:00", to: "00:00" }]'
const name = 'shop'

/** What the server would know of a boot. */
function bootOf(mac: string, bundle: Digest, outcome: 'ready' | 'failed', id: string): Boot {
  const at = Date.now()
  const measured = { memTotal: 200e6, memAvailable: 140e6, address: '127.0.0.1' }
  const stages = [
    { stage: 'script' as const, at, action: 'boot' },
    { stage: 'overlay' as const, at },
    { stage: outcome, at: at + 1500, ...measured },
  ]
  const why = outcome === 'failed' ? { reason: 'out of luck' } : {}
  return { id, mac, openedAt: at, updatedAt: at, bundle, stages, outcome, ...why }
}

/** One blueprint whose site is edited again and again; real watching, weaving and replaying. */
describe.skipIf(!asRoot)('the road of a change (skipped without root: it runs applications in namespaces)', () => {
  let directory: string
  let context: Context
  let site: string

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'p-'))
    context = await openContext(settingsSchema.parse({ state: directory, verify: { by: 'canary' } }), silent)
    site = await smallBlueprint(context, name, { policy: open })
    await composeBlueprint(name, { level: 'fast', reason: 'test' }, workOf(context))
    expect(await take()).toMatchObject({ state: 'promoted', moved: [{ from: null }, { from: null }] })
  })
  afterAll(async () => {
    await context.close()
    await rm(directory, { recursive: true, force: true })
  })

  const newest = async () => {
    const [change] = await listChanges(context.state.redis)
    return { id: change!.id, part: change!.parts[0]! }
  }
  const take = async () => {
    const { id } = await newest()
    await takeRoad({ change: id, blueprint: name }, workOf(context))
    return (await newest()).part
  }
  const edit = async (text: string, start = starting) => {
    await writeFile(join(site, 'index.html'), text)
    await writeFile(join(site, 'start.sh'), start)
    await refreshBlueprint(name, workOf(context))
  }
  const apply = async (policy: string) => {
    const { yaml } = (await getBlueprint(context.state.redis, name))!
    const rest = yaml.split('\n').filter((line) => !/^(windows|promote|verify):/.test(line))
    await applyBlueprint(context, { yaml: [...rest, policy].join('\n'), directory })
  }
  const pointers = () => channelPointers(context.state.redis, name)

  it('weaves, replays and promotes an edited tree of a gated blueprint, each step once and with its time', async () => {
    const before = await pointers()
    await edit('second')
    expect(await pointers()).toEqual(before)
    const part = await take()
    expect(part).toMatchObject({ state: 'promoted', updates: [{ kind: 'tree', name: '/srv' }] })
    expect(part.history.map(({ state }) => state)).toEqual(['detected', 'woven', 'replayed', 'promoted'])
    expect(part.history.map(({ at }) => at)).toEqual(part.history.map(({ at }) => at).sort())
    expect(await pointers()).toEqual({ candidate: part.bundle, stable: part.bundle })
    expect(part.moved.map(({ channel, from }) => [channel, from])).toEqual([
      ['candidate', before.candidate],
      ['stable', before.stable],
    ])
  })

  it('goes on behind the last step that was done, and does none of them twice', async () => {
    await edit('third')
    const { id } = await newest()
    for (let tries = 0; tries < 3; tries++) {
      // As if it had been killed somewhere: whoever takes it up finds what stands in Redis.
      await Promise.all([take(), take()])
    }
    const { part } = await newest()
    expect(part.state).toBe('promoted')
    expect(new Set(part.history.map(({ state }) => state)).size).toBe(part.history.length)
    const { stable } = await getChannels(context.state.redis, name)
    expect(stable?.history.filter(({ reason }) => reason.startsWith(`change ${id}:`))).toHaveLength(1)
  })

  it('holds what its replay refuses: the channels stay, and the next edit is woven on what there was before', async () => {
    const before = await pointers()
    const record = await getBlueprint(context.state.redis, name)
    // The stack has this file, and the bundle has not: nobody ever asked for it.
    await edit('third', `read line </srv/unused.html; ${starting}`)
    const failed = await take()
    expect(failed).toMatchObject({ state: 'held', error: { code: 'REPLAY_FAILED' } })
    expect(await pointers()).toEqual(before)
    const left = await getBlueprint(context.state.redis, name)
    expect({ ...left, updatedAt: 0 }).toEqual({ ...record, updatedAt: 0 })
    // Seen again, it is not opened again.
    await refreshBlueprint(name, workOf(context))
    expect((await newest()).part).toEqual(failed)
    await edit('fourth')
    expect(await take()).toMatchObject({ state: 'promoted' })
  })

  it('waits for a person where the blueprint says so, and rolls back all that it moved', async () => {
    await apply('promote: manual')
    const before = await pointers()
    await edit('fifth')
    const waiting = await take()
    expect(waiting).toMatchObject({ state: 'held', approvable: true })
    expect(await pointers()).toEqual({ ...before, candidate: waiting.bundle })
    const { id } = await newest()
    await approve(context, id)
    expect((await newest()).part).toMatchObject({ state: 'promoted', approved: true })
    expect((await pointers()).stable).toBe(waiting.bundle)

    const undone = await rollBack(context, id)
    expect(undone.map(({ channel, outcome }) => [channel, outcome])).toEqual([
      ['stable', 'back'],
      ['candidate', 'back'],
    ])
    expect(await pointers()).toEqual(before)
    expect((await newest()).part.state).toBe('rolled-back')
    // It does not come back by itself either.
    await refreshBlueprint(name, workOf(context))
    expect((await newest()).part.state).toBe('rolled-back')
    await expect(approve(context, id)).rejects.toMatchObject({ code: 'CHANGE_STATE' })
  })

  it('is tried by the canary where no machine can: it is told to boot, its report and its answers decide, and it goes back', async () => {
    const mac = '52:54:00:aa:00:09'
    const { redis } = context.state
    await apply(`verify: { canary: "${mac}" }`)
    const own = { blueprint: name, channel: 'stable' } as const
    await updateNode(redis, mac, () => ({ mac, groups: ['edge'], assignment: own }))
    const assigned = async () => (await getNode(redis, mac))?.assignment
    const before = await pointers()
    // It runs what is on stable, and asks for its orders: this process is its application.
    await putBoots(redis, [bootOf(mac, before.stable!, 'ready', 'before')])
    await recordReady(redis, { mac, blueprint: name, bundle: before.stable!, boot: 'before' }, Date.now())
    await askOrder(redis, mac, 'before', true)
    let status = 200
    const serving = createServer((_request, response) => response.writeHead(status).end('from the canary'))
    await once(serving.listen(sitePort, '127.0.0.1'), 'listening')
    for (const kind of ['fails', 'holds', 'answers'] as const) {
      await edit(`tried: ${kind}`)
      const taking = take()
      while (!('bundle' in ((await assigned()) ?? own))) await sleep(20)
      const { bundle } = (await assigned()) as { bundle: Digest }
      const told = { do: 'reboot-full', boot: kind === 'answers' ? 'holds' : 'before' }
      while ((await getOrder(redis, mac))?.boot !== told.boot) await sleep(20)
      expect(await getOrder(redis, mac)).toMatchObject(told)
      status = kind === 'answers' ? 500 : 200
      await putBoots(redis, [bootOf(mac, bundle, kind === 'fails' ? 'failed' : 'ready', kind)])
      const part = await taking
      expect(await assigned()).toEqual(own)
      if (kind === 'fails') {
        expect(part).toMatchObject({ state: 'held', why: 'it does not come up: out of luck' })
        expect(await pointers()).toEqual(before)
      } else if (kind === 'holds') {
        const figures = { boot: 1500, memory: 60e6, bootBefore: 1500, memoryBefore: 60e6 }
        expect(part).toMatchObject({ state: 'promoted', verified: { by: mac, figures } })
        expect((await pointers()).stable).toBe(bundle)
        // What it runs is what it follows: it is left alone.
        expect(await getOrder(redis, mac)).toMatchObject(told)
      } else {
        expect(part).toMatchObject({ state: 'held', error: { code: 'VERIFY_FAILED' } })
        expect(await getOrder(redis, mac)).toMatchObject({ do: 'reboot', boot: 'answers' })
      }
    }
    serving.close()
    expect((await getNode(redis, mac))?.groups).toEqual(['edge'])
  })

  it('waits for the end of a rollout, and is promoted then', async () => {
    const { redis } = context.state
    await apply(open)
    const { stable } = await pointers()
    const about = { blueprint: name, channel: 'stable' as const, from: stable!, to: (await pointers()).candidate! }
    const how = { batch: 1, maxFailures: 1, deadline: 60, full: false }
    const rollout = { id: 'r', ...about, ...how, state: 'running' as const, startedAt: Date.now() }
    await putRollout(redis, rollout, [])
    await edit('meanwhile')
    expect(await take()).toMatchObject({ state: 'waiting', why: 'waits for the end of a rollout' })
    expect((await pointers()).stable).toBe(stable)
    await endRollout(redis, rollout, (await takeRollout(redis, name))!, 'aborted')
    const { id } = await newest()
    await updatePart(redis, { change: id, blueprint: name }, (part) => ({ ...part, until: Date.now() }))
    const part = await take()
    expect(part).toMatchObject({
      state: 'promoted',
      moved: [{ channel: 'candidate' }, { channel: 'stable', from: stable }],
    })
    expect(part.history.map(({ state }) => state)).toEqual(['detected', 'woven', 'replayed', 'waiting', 'promoted'])
  })

  it('is promoted when a rollout brings to stable what waited for a person', async () => {
    const { redis } = context.state
    await apply('promote: manual')
    const before = await pointers()
    await edit('by a rollout')
    const waiting = await take()
    expect(waiting).toMatchObject({ state: 'held', approvable: true })
    await moveChannel(redis, { blueprint: name, channel: 'stable', digest: waiting.bundle!, reason: rolledOut })
    await settleArrived(context, name)
    const { id, part } = await newest()
    expect(part).toMatchObject({ state: 'promoted' })
    await rollBack(context, id)
    expect(await pointers()).toEqual(before)
  })

  it('waits for its window, is held by a person, and taken up again', async () => {
    const closed = new Date(Date.now() + 3 * 3_600_000).toISOString().slice(11, 16)
    const ends = new Date(Date.now() + 4 * 3_600_000).toISOString().slice(11, 16)
    await apply(`windows: [{ from: "${closed}", to: "${ends}" }]`)
    await edit('sixth')
    const part = await take()
    expect(part.state).toBe('waiting')
    expect(part.until! - Date.now()).toBeGreaterThan(2.9 * 3_600_000)
    const { id } = await newest()
    await hold(context, id, 'TICKET-17')
    expect((await newest()).part).toMatchObject({ state: 'held', why: 'TICKET-17', approvable: true })
    await apply(open)
    await retry(context, id)
    expect(await take()).toMatchObject({ state: 'promoted' })
    expect(await readFile(join(site, 'index.html'), 'utf8')).toBe('sixth')
  })
})
