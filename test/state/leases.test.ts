import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { silent } from '../../src/config/log.ts'
import { keys } from '../../src/state/keys.ts'
import { type LeaseClient, type Leases, openLeases, type Pool } from '../../src/state/leases.ts'
import { openState, type State } from '../../src/state/redis.ts'

let directory: string
let state: State
let leases: Leases
let round = 0
let pool: Pool

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'leases-'))
  state = await openState({ directory }, silent)
  leases = openLeases(state.redis)
})
afterAll(async () => {
  await state.close()
  await rm(directory, { recursive: true, force: true })
})
beforeEach(() => {
  // A subnet of its own for each test: nothing is left over from the one before.
  round++
  pool = {
    subnet: `10.${round}.0.0/24`,
    ranges: [[`10.${round}.0.10`, `10.${round}.0.13`]],
    never: [`10.${round}.0.11`],
  }
})

const client = (n: number, identity = `mac:${mac(n)}`): LeaseClient => ({ identity, mac: mac(n) })
const mac = (n: number) => `52:54:00:00:00:${n.toString(16).padStart(2, '0')}`
const at = (last: number) => `10.${round}.0.${last}`
const offer = async (who: LeaseClient, wanted?: string, hold = 60) =>
  (await leases.offer(pool, who, wanted, hold))?.address

test('no address is offered to two clients, and an address that is never given is not', async () => {
  const offered = await Promise.all([1, 2, 3, 4, 5].map((n) => offer(client(n))))
  expect(offered.filter((address) => address !== undefined).sort()).toEqual([at(10), at(12), at(13)])
  expect(offered.filter((address) => address === undefined)).toHaveLength(2)
})

test('two servers on one Redis give many clients at once as many addresses', async () => {
  const second = await openState({ directory }, silent)
  const other = openLeases(second.redis)
  const wide: Pool = { ...pool, ranges: [[at(10), at(209)]] }
  const ask = async (n: number) => {
    const who = client(n % 256, `mac:${n}`)
    const [here, there] = await Promise.all([
      leases.offer(wide, who, undefined, 60),
      other.offer(wide, who, undefined, 60),
    ])
    expect(there?.address).toBe(here?.address)
    return here?.address
  }
  const given = await Promise.all(Array.from({ length: 199 }, (_, n) => ask(n)))
  expect(new Set(given).size).toBe(199)
  await second.close()
})

test('a client gets the address that it had, after its lease has run out too', async () => {
  const first = await offer(client(1))
  await leases.commit(pool, client(1), first!, 0)
  await sleep(5)
  expect(await offer(client(2))).not.toBe(first)
  expect(await offer(client(1), at(12))).toBe(first)
})

test('what a client wants is granted while it is free', async () => {
  expect(await offer(client(1), at(12))).toBe(at(12))
  expect(await offer(client(2), at(12))).not.toBe(at(12))
  expect(await offer(client(3), at(200))).not.toBe(at(200))
})

test('an offer that nobody took up is given to the next client, when nothing else is left', async () => {
  const taken = await Promise.all([offer(client(1), undefined, 0.05), offer(client(2)), offer(client(3))])
  expect(await offer(client(4))).toBeUndefined()
  await sleep(60)
  expect(await offer(client(4))).toBe(taken[0])
  expect(await leases.commit(pool, client(1), taken[0]!, 60)).toBe(false)
})

test('the address whose lease ended longest ago is the first to change hands', async () => {
  for (const [n, last] of [
    [1, 13],
    [2, 10],
    [3, 12],
  ] as const) {
    await leases.commit(pool, client(n), at(last), 0.001)
    await sleep(5)
  }
  expect(await offer(client(9))).toBe(at(13))
})

test("another client's address is not committed, and an own one is renewed", async () => {
  const address = (await offer(client(1)))!
  expect(await leases.commit(pool, client(2), address, 60)).toBe(false)
  expect(await leases.commit(pool, client(1), address, 60)).toBe(true)
  expect(await leases.commit(pool, client(1), address, 60)).toBe(true)
  expect(await leases.commit(pool, client(2), address, 60)).toBe(false)
})

test('an address outside the pool is committed to nobody, unless it is reserved', async () => {
  expect(await leases.commit(pool, client(1), at(50), 60)).toBe(false)
  expect(await leases.commit(pool, client(1), at(11), 60)).toBe(false)
  await leases.reserve(pool.subnet, mac(1), at(50))
  expect(await leases.commit(pool, client(1), at(50), 60)).toBe(true)
})

test('a discover does not shorten a lease that is bound', async () => {
  const address = (await offer(client(1)))!
  await leases.commit(pool, client(1), address, 3600)
  const [before] = await leases.list(pool.subnet)
  expect(await offer(client(1))).toBe(address)
  expect(await leases.list(pool.subnet)).toEqual([before])
})

test('a reserved address goes to its MAC alone, under whatever identity', async () => {
  await leases.reserve(pool.subnet, mac(1), at(10))
  await leases.reserve(pool.subnet, mac(9), at(99))
  expect(await offer(client(2), at(10))).not.toBe(at(10))
  expect(await offer(client(9))).toBe(at(99))
  expect(await offer(client(1))).toBe(at(10))
  expect(await leases.commit(pool, client(1), at(10), 60)).toBe(true)
  expect(await offer(client(1, 'id:ff0011'))).toBe(at(10))
  expect(await leases.commit(pool, client(2), at(10), 60)).toBe(false)
})

test('one address is reserved once, and a reservation can be moved and taken back', async () => {
  await leases.reserve(pool.subnet, mac(1), at(10))
  await expect(leases.reserve(pool.subnet, mac(2), at(10))).rejects.toMatchObject({ code: 'ADDRESS_RESERVED' })
  await leases.reserve(pool.subnet, mac(1), at(12))
  await leases.reserve(pool.subnet, mac(2), at(10))
  await leases.unreserve(pool.subnet, mac(1))
  expect(await leases.reservations(pool.subnet)).toEqual(new Map([[mac(2), at(10)]]))
  await leases.reserve(pool.subnet, mac(3), at(12))
})

test('a released address is kept for its client while others are free, and a stranger cannot release it', async () => {
  const address = (await offer(client(1)))!
  await leases.commit(pool, client(1), address, 3600)
  expect(await leases.release(pool.subnet, client(2), address)).toBe(false)
  expect(await leases.release(pool.subnet, client(1), address)).toBe(true)
  expect(await offer(client(2))).not.toBe(address)
  expect(await offer(client(1))).toBe(address)
})

test('a declined address goes to nobody for a while, not to the one who declined it either', async () => {
  const address = (await offer(client(1)))!
  await leases.commit(pool, client(1), address, 3600)
  expect(await leases.decline(pool.subnet, client(2), address, 60)).toBe(false)
  expect(await leases.decline(pool.subnet, client(1), address, 60)).toBe(true)
  const others = await Promise.all([1, 2, 3].map((n) => offer(client(n), address)))
  expect(others).not.toContain(address)
  expect(others.filter((each) => each !== undefined)).toHaveLength(2)
})

test('an offer ends soon when the client chose another server, which may yet bind it; a bound lease stays', async () => {
  const address = (await offer(client(1)))!
  expect(await leases.withdraw(pool.subnet, client(1))).toBe(true)
  const [withdrawn] = await leases.list(pool.subnet)
  expect(withdrawn!.expires - Date.now()).toBeLessThan(3100)
  expect(await leases.commit(pool, client(1), address, 60)).toBe(true)
  expect(await leases.withdraw(pool.subnet, client(1))).toBe(false)
})

test('leases are listed by address, with client, state and expiry', async () => {
  await leases.commit(pool, client(2), at(13), 60)
  await offer(client(1), at(12))
  const listed = await leases.list(pool.subnet)
  expect(listed.map(({ address, state: of, mac: by }) => [address, of, by])).toEqual([
    [at(12), 'offered', mac(1)],
    [at(13), 'bound', mac(2)],
  ])
  expect(listed[1]!.expires - Date.now()).toBeGreaterThan(55_000)
})

test('many changes at once, of every kind, are done as if one after the other', async () => {
  const wide: Pool = { ...pool, ranges: [[at(10), at(250)]] }
  const all = Array.from({ length: 200 }, (_, n) => client(n))
  const offered = await Promise.all(all.map((who) => leases.offer(wide, who, undefined, 60)))
  const addresses = offered.map((each) => each!.address)
  expect(new Set(addresses).size).toBe(200)
  const done = await Promise.all(
    all.flatMap((who, n) => [
      leases.commit(wide, who, addresses[n]!, 60),
      leases.commit(wide, all[(n + 1) % 200]!, addresses[n]!, 60),
    ]),
  )
  // Each its own, none its neighbour's.
  expect(done).toEqual(all.flatMap(() => [true, false]))
  await Promise.all(all.map((who, n) => n % 2 === 0 && leases.release(pool.subnet, who, addresses[n]!)))
  const states = (await leases.list(pool.subnet)).map(({ state: of }) => of)
  expect(states.filter((of) => of === 'bound')).toHaveLength(100)
  expect(states.filter((of) => of === 'released')).toHaveLength(100)
})

test('a lease that ran out stays its own for as long again', async () => {
  const address = (await offer(client(1)))!
  await leases.commit(pool, client(1), address, 0.2)
  await offer(client(2))
  await offer(client(3))
  await sleep(250)
  expect(await offer(client(4))).toBeUndefined()
  await sleep(200)
  expect(await offer(client(4))).toBe(address)
})

test('what nobody took up leaves nothing behind', async () => {
  await Promise.all([1, 2, 3].map((n) => offer(client(n), undefined, 0.02)))
  await sleep(30)
  await offer(client(9))
  expect(await leases.list(pool.subnet)).toHaveLength(1)
  const left = await Promise.all((await state.redis.keys(`*{${pool.subnet}}*`)).map((key) => state.redis.type(key)))
  expect(await state.redis.hlen(keys.leaseHolders(pool.subnet))).toBe(1)
  expect(left.sort()).toEqual(['hash', 'hash', 'string', 'zset'])
})

test('under ever new names, an offer is held for seconds only, and bound leases stay', async () => {
  const address = (await offer(client(1)))!
  await leases.commit(pool, client(1), address, 3600)
  for (const n of [2, 3]) await offer(client(n), undefined, 600)
  await offer(client(2), undefined, 600)
  const held = (await leases.list(pool.subnet)).filter((lease) => lease.state === 'offered')
  expect(Math.min(...held.map(({ expires }) => expires - Date.now()))).toBeLessThan(11_000)
  expect(await offer(client(4))).toBeUndefined()
  expect(await offer(client(1))).toBe(address)
})

test('whoever declines over and over keeps addresses from others for a minute only', async () => {
  const wide: Pool = { ...pool, ranges: [[at(10), at(250)]] }
  const holds: number[] = []
  for (let n = 0; n < 5; n++) {
    const { address } = (await leases.offer(wide, client(200), undefined, 60))!
    await leases.decline(pool.subnet, client(200), address, 3600)
    const declined = (await leases.list(pool.subnet)).find((lease) => lease.address === address)!
    holds.push(Math.round((declined.expires - Date.now()) / 1000))
  }
  expect(holds).toEqual([3600, 3600, 3600, 60, 60])
})
