import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { silent } from '../../src/config/log.ts'
import { Boots } from '../../src/fleet/boots.ts'
import { leaseHolders } from '../../src/fleet/holders.ts'
import { openLeases } from '../../src/state/leases.ts'
import { openState, type State } from '../../src/state/redis.ts'

const subnet = '10.77.0.0/24'
const pool = { subnet, ranges: [['10.77.0.100', '10.77.0.110']], never: [] } as const
const [one, two] = ['52:54:00:aa:00:01', '52:54:00:aa:00:02']
let directory: string
let state: State
let boots: Boots

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holders-'))
  state = await openState({ directory }, silent)
  boots = await Boots.open(
    state.redis,
    { unknown: { action: 'reject' }, fleet: { tries: 2, deadline: 600, heartbeat: 15 } },
    silent,
  )
})
afterAll(async () => {
  await boots.close()
  await state.close()
  await rm(directory, { recursive: true, force: true })
})

test('an address is held by who this server, or another on the same Redis, gave it to', async () => {
  const holders = leaseHolders(boots, state.redis, [subnet], true)
  boots.discover(one, 'ipxe')
  boots.record(one, { stage: 'ack', by: 'ipxe', address: '10.77.0.105' })
  expect(await holders.of('10.77.0.105', one)).toBe(one)
  expect(await holders.of('10.77.0.105', two)).toBe(one)
  expect(await holders.of('10.77.0.100', two)).toBeUndefined()

  const elsewhere = openLeases(state.redis)
  const client = { identity: two, mac: two }
  const offer = await elsewhere.offer(pool, client, '10.77.0.105', 60)
  expect(offer?.address).toBe('10.77.0.105')
  expect(await holders.of('10.77.0.105', two)).toBe(one)
  expect(await elsewhere.commit(pool, client, '10.77.0.105', 3600)).toBe(true)
  expect(await holders.of('10.77.0.105', two)).toBe(two)
  expect(await holders.of('192.0.2.1', two)).toBeUndefined()
})
