import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { addressOf, type WatchedBoot } from '../../lab/boot-watch.ts'
import { fetchInside } from '../../lab/fetch.ts'
import type { LabNode } from '../../lab/node.ts'
import { paths } from '../../lab/place.ts'
import { until } from '../../lab/wait.ts'
import { silent } from '../../src/config/log.ts'
import type { Drifted } from '../../src/fleet/drift.ts'
import { updateNode } from '../../src/state/nodes.ts'
import { openState, type State } from '../../src/state/redis.ts'
import type { Digest } from '../../src/store/digest.ts'
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
    const bundle = await weaveHttpd(road, state, { meddle: ['echo x >>/usr/lib/other', 'chmod 700 /usr/lib/large'] })
    await road.api.request('POST', '/v1/channels/test/stable', { digest: bundle })
    const assignment = { blueprint: 'test', channel: 'stable' } as const
    await updateNode(state.redis, mac, () => ({ mac, groups: [], assignment }))
    // So much that it hands its kernel on.
    const booted = await road.boot({ index: 1, memory: 1024 })
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
    const before = await lease()
    const boot = await rebooted(next)
    const stages = boot.stages.map(({ stage }) => stage)
    expect(boot.stages.filter(({ by }) => by === 'firmware' || by === 'ipxe')).toEqual([])
    expect(stages.slice(0, 3)).toEqual(['script', 'kernel', 'initramfs'])
    expect(stages.indexOf('jump')).toBe(stages.indexOf('overlay') + 1)
    const [fetched, own] = told(boot, /^(\d+) KB fetched, (\d+) KB out of its own root, the kernel unpacked$/)
    // Beside the kernel, what is not in its root as the bundle brings it, of 100 KB and the drivers.
    const kernel = boot.stages.find(({ stage }) => stage === 'kernel')!.bytes! / 1000
    expect(fetched).toBeGreaterThan(kernel + 100)
    expect(fetched).toBeLessThan(kernel + 500)
    expect(own).toBeGreaterThan(2000)
    const page = await fetchInside(road.place.name, `http://${addressOf(boot)}:8080/`)
    expect(page.body).toBe('It works better\n')
    // It came up with the lease that it had, and asked for it again meanwhile.
    expect(boot.stages[0]).toMatchObject({ stage: 'script', address: before.address })
    const look = async () => {
      const now = await lease()
      return now.expires > before.expires ? { found: now } : { seen: `until ${now.expires}` }
    }
    expect(await until('the lease is asked for again', look, { timeout: 30_000 })).toMatchObject({ mac })
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

  it('with enough memory fetches its kernel no second time', async () => {
    const boot = await rebooted(first.bundle! as Digest)
    expect(boot.stages.map(({ stage }) => stage)).not.toContain('kernel')
    const [fetched] = told(boot, /^(\d+) KB fetched, \d+ KB out of its own root, the kernel kept, the kernel unpacked$/)
    expect(fetched).toBeLessThan(500)
  }, 90_000)

  const lease = () =>
    road.api.request<{ address: string; mac: string; expires: number }>('GET', `/v1/leases/${addressOf(first)}`)

  /** The boot that comes of the order, ready. */
  async function rebooted(bundle: Digest): Promise<WatchedBoot> {
    await road.api.request('POST', '/v1/channels/test/stable', { digest: bundle })
    const path = `/v1/nodes/${mac}`
    const [before] = (await road.api.request<{ boots: WatchedBoot[] }>('GET', path)).boots
    expect(await road.api.request('POST', `${path}/reboot`, {})).toMatchObject({ by: 'order' })
    const look = async () => {
      const [boot] = (await road.api.request<{ boots: WatchedBoot[] }>('GET', path)).boots
      const ready = boot && boot.id !== before!.id && boot.outcome === 'ready'
      return ready ? { found: boot } : { seen: boot?.stages.at(-1)?.stage ?? 'no boot' }
    }
    const details = () => [node.serial.text().slice(-2000)]
    const boot = await until('the node is ready', look, { timeout: 60_000, every: 100, details })
    expect(boot.bundle).toBe(bundle)
    return boot
  }

  /** The numbers in what the node says of its jump. */
  function told(boot: WatchedBoot, pattern: RegExp): number[] {
    const detail = boot.stages.find(({ stage }) => stage === 'jump')?.detail ?? ''
    expect(detail).toMatch(pattern)
    return pattern.exec(detail)!.slice(1).map(Number)
  }
})
