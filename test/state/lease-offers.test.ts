import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { silent } from '../../src/config/log.ts'
import { type LeaseClient, type Leases, openLeases, type Pool } from '../../src/state/leases.ts'
import { openState, type State } from '../../src/state/redis.ts'

// Offers that need no answer of Redis, and addresses held in reserve.
let directory: string
const states: State[] = []
let here: Leases
let there: Leases
let round = 0
let pool: Pool

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'offers-'))
  for (let n = 0; n < 2; n++) states.push(await openState({ directory }, silent))
  here = openLeases(states[0]!.redis)
  there = openLeases(states[1]!.redis)
})
afterAll(async () => {
  for (const state of states.reverse()) await state.close()
  await rm(directory, { recursive: true, force: true })
})
beforeEach(() => {
  round++
  pool = { subnet: `10.${round}.0.0/24`, ranges: [[`10.${round}.0.10`, `10.${round}.0.29`]], never: [] }
})

const client = (n: number): LeaseClient => ({ identity: `mac:52:54:00:00:00:0${n}`, mac: `52:54:00:00:00:0${n}` })
const address = (last: number) => `10.${round}.0.${last}`

/** Asks for an offer while Redis has something else to do; whether its answer has to be waited for. */
async function offerWhileBusy(who: LeaseClient) {
  const busy = here.commit(pool, client(9), address(29), 3600)
  const known = here.knownOffer(pool, who, 60)
  const asked = known ?? (await here.offer(pool, who, undefined, 60))?.address
  await busy
  return { address: asked, waited: known === undefined }
}

test('while Redis is busy, a client whose lease runs is offered it at once', async () => {
  await here.commit(pool, client(1), address(10), 3600)
  expect(await offerWhileBusy(client(1))).toEqual({ address: address(10), waited: false })
  expect((await offerWhileBusy(client(2))).waited).toBe(true)
})

test('not when the lease ends before the offer would', async () => {
  await here.commit(pool, client(1), address(10), 30)
  expect((await offerWhileBusy(client(1))).waited).toBe(true)
})

test('not under other names, for a reservation may go by them', async () => {
  await here.commit(pool, client(1), address(10), 3600)
  expect((await offerWhileBusy({ ...client(1), names: ['circuit:01'] })).waited).toBe(true)
})

test.each([
  ['released', () => there.release(pool.subnet, client(1), address(10))],
  ['declined', () => there.decline(pool.subnet, client(1), address(10), 60)],
  ['reserved for somebody else', () => there.reserve(pool.subnet, client(5).mac, address(10))],
  ['moved', () => there.commit(pool, client(1), address(12), 3600)],
])('not after the lease was %s through another server', async (_, change) => {
  await here.commit(pool, client(1), address(10), 3600)
  await change()
  // Whatever Redis answers next tells.
  await here.commit(pool, client(8), address(28), 3600)
  const after = await offerWhileBusy(client(1))
  expect(after.waited).toBe(true)
  expect(after.address).toBe((await there.offer(pool, client(1), undefined, 60))?.address)
})

test('leases written since are trusted again', async () => {
  await there.commit(pool, client(1), address(10), 3600)
  await there.release(pool.subnet, client(1), address(10))
  await here.commit(pool, client(2), address(11), 3600)
  expect(await offerWhileBusy(client(2))).toEqual({ address: address(11), waited: false })
})

test('nor after somebody else was given the address here', async () => {
  await here.commit(pool, client(1), address(10), 3600)
  await here.release(pool.subnet, client(1), address(10))
  expect(await here.commit(pool, client(2), address(10), 3600)).toBe(true)
  expect((await offerWhileBusy(client(1))).address).not.toBe(address(10))
})

test('an address held in reserve goes to whom it is offered, and to nobody unasked', async () => {
  const spare = (await here.holdSpare(pool, 'a:0', 60))!
  const other = (await there.holdSpare(pool, 'b:0', 60))!
  expect(other).not.toBe(spare)
  expect(await here.holdSpare(pool, 'a:0', 60)).toBe(spare)
  expect((await here.offer(pool, client(1), spare, 60))?.address).not.toBe(spare)
  expect((await here.offer(pool, client(2), undefined, 60, spare))?.address).toBe(spare)
  // The same client, through the other server: it is its own now.
  expect((await there.offer(pool, client(2), undefined, 60, other))?.address).toBe(spare)
  expect((await there.offer(pool, client(3), undefined, 60, spare))?.address).not.toBe(spare)
  expect((await here.list(pool.subnet)).map(({ client: holder }) => holder).sort()).toEqual(
    [1, 2, 3].map((n) => client(n).identity),
  )
})

test('what a server held that died is free again, and a pool in use has no reserve', async () => {
  const small: Pool = { ...pool, ranges: [[address(10), address(13)]] }
  const held = await there.holdSpare(small, 'b:0', 0.05)
  await sleep(60)
  const given = await Promise.all([1, 2, 3, 4].map((n) => here.offer(small, client(n), undefined, 60)))
  expect(given.map((each) => each?.address)).toContain(held)
  expect(await here.holdSpare(small, 'a:0', 60)).toBeUndefined()
})
