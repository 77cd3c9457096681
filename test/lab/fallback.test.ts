import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { paths } from '../../lab/place.ts'
import { silent } from '../../src/config/log.ts'
import { updateNode } from '../../src/state/nodes.ts'
import { openState, type State } from '../../src/state/redis.ts'
import { recordReady } from '../../src/state/tries.ts'
import { weaveHttpd } from './httpd.ts'
import { Road } from './road.ts'

const asRoot = process.getuid?.() === 0
const mac = '52:54:00:aa:00:01'

/** `npm run prove:fallback` shows the same of Apache, and of every way in which a node does not come up. */
describe.skipIf(!asRoot)('a node that does not come up (skipped without root: it makes network namespaces)', () => {
  let road: Road
  let state: State

  beforeAll(async () => {
    road = await Road.open('fallback')
    state = await openState({ directory: paths.state(road.place) }, silent)
  }, 60_000)
  afterAll(async () => {
    await state?.close()
    await road?.close()
  }, 60_000)

  it('is back on the bundle that another node is ready with, after two panics and by itself', async () => {
    const [good, bad] = [
      await weaveHttpd(road, state),
      await weaveHttpd(road, state, { cmdline: 'rdinit=/nonexistent panic=-1' }),
    ]
    await recordReady(state.redis, { mac: '52:54:00:aa:00:02', blueprint: 'test', bundle: good, boot: 'b' }, Date.now())
    await road.api.request('POST', '/v1/channels/test/stable', { digest: bad })
    await updateNode(state.redis, mac, () => ({
      mac,
      groups: [],
      assignment: { blueprint: 'test', channel: 'stable' },
    }))
    const since = Date.now()
    const { node, boot } = await road.boot({ index: 1 })
    await node.stop()

    expect(boot).toMatchObject({ bundle: good, gaveUp: bad })
    const { boots } = await road.api.request<{ boots: { bundle: string }[] }>('GET', `/v1/nodes/${mac}`)
    expect(boots.map(({ bundle }) => bundle)).toEqual([good, bad, bad])
    expect(await road.event('node-fell-back', since, 5000)).toMatchObject({ mac, bundle: bad, given: good, tries: 2 })
    expect(await road.event('channel-held', since, 5000)).toMatchObject({ blueprint: 'test', bundle: bad })
    expect(await road.log('boot')).toContain('"node-fell-back"')
  }, 200_000)
})
