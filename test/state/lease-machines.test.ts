import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { silent } from '../../src/config/log.ts'
import { type LeaseClient, type Leases, openLeases, type Pool } from '../../src/state/leases.ts'
import { openState, type State } from '../../src/state/redis.ts'

// One machine under several identities: its firmware, and the systems that run on it.
let directory: string
let state: State
let leases: Leases
let round = 0
let pool: Pool
const mac = '52:54:00:00:00:01'
const byMac: LeaseClient = { identity: `mac:${mac}`, mac, firmware: true }
const byUuid: LeaseClient = { identity: 'id:0011223344', mac, firmware: true }
const system: LeaseClient = { identity: 'id:ff0001', mac }
const otherSystem: LeaseClient = { identity: 'id:ff0002', mac }
const stranger: LeaseClient = { identity: 'id:0011223344', mac: '52:54:00:00:00:02', firmware: true }

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'machines-'))
  state = await openState({ directory }, silent)
  leases = openLeases(state.redis)
})
afterAll(async () => {
  await state.close()
  await rm(directory, { recursive: true, force: true })
})
beforeEach(() => {
  round++
  pool = { subnet: `10.${round}.0.0/24`, ranges: [[`10.${round}.0.10`, `10.${round}.0.99`]], never: [] }
})

async function bind(who: LeaseClient): Promise<string> {
  const { address } = (await leases.offer(pool, who, undefined, 60))!
  expect(await leases.commit(pool, who, address, 3600)).toBe(true)
  return address
}

test.each([
  ['without a client identifier', byMac],
  ['with one of its own', byUuid],
])('firmware %s, the system and firmware again keep one address', async (_, firmware) => {
  const first = await bind(firmware)
  expect(await bind(system)).toBe(first)
  // The system's lease runs yet: the machine has been reset.
  expect(await bind(firmware)).toBe(first)
  expect(await bind(otherSystem)).toBe(first)
  expect(await leases.list(pool.subnet)).toHaveLength(1)
})

test('firmware and the iPXE that it loads keep one address', async () => {
  const first = await bind(byUuid)
  expect(await bind(byMac)).toBe(first)
  expect(await bind(system)).toBe(first)
})

test('the offer to the system says that the address is known, and leaves the lease to firmware until it is taken up', async () => {
  const first = await bind(byMac)
  expect(await leases.offer(pool, system, undefined, 60)).toEqual({ address: first, known: true })
  expect(await leases.list(pool.subnet)).toMatchObject([{ client: byMac.identity, state: 'bound' }])
  expect(await leases.commit(pool, byMac, first, 3600)).toBe(true)
})

test('two systems that share a MAC have an address each', async () => {
  const first = await bind(system)
  expect(await bind(otherSystem)).not.toBe(first)
  expect(await leases.commit(pool, otherSystem, first, 60)).toBe(false)
})

test('an identifier of firmware that another machine sends too is another machine', async () => {
  const first = await bind(byMac)
  expect(await bind(stranger)).not.toBe(first)
  expect(await leases.commit(pool, stranger, first, 60)).toBe(false)
})

test('what firmware was given anew goes before what the system once had', async () => {
  const old = await bind(system)
  await leases.decline(pool.subnet, system, old, 3600)
  const again = await bind(byMac)
  expect(again).not.toBe(old)
  expect(await bind(system)).toBe(again)
})

test('a lease that the system released is found by firmware, and one that was declined is not', async () => {
  const first = await bind(system)
  await leases.release(pool.subnet, system, first)
  expect(await bind(byMac)).toBe(first)
  await leases.decline(pool.subnet, byMac, first, 3600)
  expect(await bind(byMac)).not.toBe(first)
})
