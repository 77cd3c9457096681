import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { addressOf, type WatchedBoot } from '../../lab/boot-watch.ts'
import { fetchInside } from '../../lab/fetch.ts'
import type { LabNode } from '../../lab/node.ts'
import { paths } from '../../lab/place.ts'
import { silent } from '../../src/config/log.ts'
import type { Drifted } from '../../src/fleet/drift.ts'
import { updateNode } from '../../src/state/nodes.ts'
import { openState, type State } from '../../src/state/redis.ts'
import { weaveHttpd } from './httpd.ts'
import { Road } from './road.ts'

const asRoot = process.getuid?.() === 0
const mac = '52:54:00:aa:00:01'

describe.skipIf(!asRoot)('a running node (skipped without root: it makes network namespaces)', () => {
  let road: Road
  let state: State
  let node: LabNode
  let first: WatchedBoot

  beforeAll(async () => {
    road = await Road.open('orders', { fleet: { heartbeat: 1 } })
    state = await openState({ directory: paths.state(road.place) }, silent)
    const bundle = await weaveHttpd(road, state)
    await road.api.request('POST', '/v1/channels/test/stable', { digest: bundle })
    const assignment = { blueprint: 'test', channel: 'stable' } as const
    await updateNode(state.redis, mac, () => ({ mac, groups: [], assignment }))
    const booted = await road.boot({ index: 1 })
    node = booted.node
    first = booted.boot
  }, 120_000)
  afterAll(async () => {
    await node?.stop()
    await state?.close()
    await road?.close()
  }, 60_000)

  it('told to boot anew jumps into its next bundle without its firmware', async () => {
    const meddle = [
      'echo meddled >/srv/other.html',
      'echo x >/srv/added',
      'rm /usr/bin/spare',
      'echo x >/srv/state/own',
    ]
    const next = await weaveHttpd(road, state, { page: 'It works better\n', meddle })
    await road.api.request('POST', '/v1/channels/test/stable', { digest: next })
    const since = Date.now()
    expect(await road.api.request('POST', `/v1/nodes/${mac}/reboot`, {})).toMatchObject({ by: 'order' })
    let boot = first
    while (boot.id === first.id || boot.outcome !== 'ready') {
      if (Date.now() - since > 60_000) throw new Error(node.serial.text().slice(-2000))
      await sleep(100)
      boot = (await road.api.request<{ boots: WatchedBoot[] }>('GET', `/v1/nodes/${mac}`)).boots[0]!
    }
    const stages = boot.stages.map(({ stage }) => stage)
    expect(boot.bundle).toBe(next)
    expect(boot.stages.filter(({ by }) => by === 'firmware' || by === 'ipxe')).toEqual([])
    expect(stages.slice(0, 5)).toEqual(['script', 'kernel', 'initramfs', 'overlay', 'jump'])
    const page = await fetchInside(road.place.name, `http://${addressOf(boot)}:8080/`)
    expect(page.body).toBe('It works better\n')
  }, 90_000)

  it('tells what of its root is not as its bundle, and where its application may write', async () => {
    const { drift } = await road.api.request<{ drift: Drifted[] }>('POST', `/v1/nodes/${mac}/drift`, {})
    const told = drift.map(({ path, kind, writable }) => `${writable ? 'own' : 'foreign'} ${kind} ${path}`)
    expect(told).toEqual([
      'foreign added /srv/added',
      'foreign changed /srv/other.html',
      'own added /srv/state',
      'own added /srv/state/own',
      'foreign removed /usr/bin/spare',
    ])
  }, 30_000)
})
