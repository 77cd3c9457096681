import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { silent } from '../../src/config/log.ts'
import { LeaseTableAway } from '../../src/state/lease-batch.ts'
import { type LeaseClient, type Leases, openLeases, type Pool } from '../../src/state/leases.ts'
import { openState, type State } from '../../src/state/redis.ts'

// A real Redis of the test's own, killed, stopped and started again under the lease table.
let directory: string
let port: number
let server: ReturnType<typeof launch>
let state: State
let leases: Leases
const pool: Pool = { subnet: '10.5.0.0/24', ranges: [['10.5.0.10', '10.5.0.20']], never: [] }
const client = (n: number): LeaseClient => ({ identity: `mac:52:54:00:00:00:0${n}`, mac: `52:54:00:00:00:0${n}` })
const known = client(1)
let address: string

const launch = (data: string) =>
  execa(
    'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--appendonly', 'yes', '--save', '', '--dir', data],
    { stdio: 'ignore', reject: false },
  )
function startRedis(data: string): void {
  server = launch(data)
}
async function killRedis(): Promise<void> {
  server.kill('SIGKILL')
  await server
  await vi.waitFor(() => expect(state.redis.status).not.toBe('ready'), 20_000)
}
const offered = async (who: LeaseClient) => (await leases.offer(pool, who, undefined, 60))?.address

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'away-'))
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  port = (probe.address() as { port: number }).port
  probe.close()
  startRedis(directory)
  state = await vi.waitFor(() => openState({ directory, url: `redis://127.0.0.1:${port}` }, silent), {
    timeout: 25_000,
  })
  leases = openLeases(state.redis)
  address = (await offered(known))!
  expect(await leases.commit(pool, known, address, 600)).toBe(true)
})
afterAll(async () => {
  await state?.close()
  server?.kill('SIGKILL')
  await server
  await rm(directory, { recursive: true, force: true })
})

test('while Redis is away a known client keeps its address and renews it, and a new one waits', async () => {
  await killRedis()
  expect(await offered(known)).toBe(address)
  expect(await leases.commit(pool, known, address, 900)).toBe(true)
  await expect(leases.commit(pool, known, '10.5.0.19', 600)).rejects.toThrow(LeaseTableAway)
  await expect(leases.offer(pool, client(2), undefined, 60)).rejects.toThrow(LeaseTableAway)
  await expect(leases.commit(pool, client(2), '10.5.0.15', 600)).rejects.toThrow(LeaseTableAway)
})

test('not for longer than nobody else can be given it', async () => {
  // 600 s written, and as long again kept free: 1300 s would be beyond.
  await expect(leases.commit(pool, known, address, 1300)).rejects.toThrow(LeaseTableAway)
})

test('Redis is back: what was granted meanwhile is written, and new clients are served, with nothing done by hand', async () => {
  startRedis(directory)
  const other = await vi.waitFor(() => offered(client(2)), { timeout: 25_000, interval: 50 })
  expect(other).not.toBe(address)
  const lease = (await leases.list(pool.subnet)).find((each) => each.address === address)!
  expect(lease).toMatchObject({ client: known.identity, state: 'bound' })
  expect(lease.expires - Date.now()).toBeGreaterThan(850_000)
})

test('a Redis that comes back without its data is told of the leases before anybody is given an address', async () => {
  await killRedis()
  startRedis(await mkdtemp(join(directory, 'empty-')))
  const others = [3, 4, 5, 6, 7].map(client)
  const given = await vi.waitFor(() => Promise.all(others.map(offered)), { timeout: 25_000, interval: 50 })
  expect(new Set([address, ...given]).size).toBe(6)
  expect((await leases.list(pool.subnet)).find((each) => each.address === address)).toMatchObject({ state: 'bound' })
})

test('a Redis that has stopped answering holds up nobody for long', async () => {
  server.kill('SIGSTOP')
  const began = performance.now()
  expect(await offered(known)).toBe(address)
  expect(performance.now() - began).toBeLessThan(1500)
  // From then on it is known, and nobody waits.
  const again = performance.now()
  expect(await leases.commit(pool, known, address, 600)).toBe(true)
  await expect(offered(client(8))).rejects.toThrow(LeaseTableAway)
  expect(performance.now() - again).toBeLessThan(300)
  server.kill('SIGCONT')
  await vi.waitFor(() => offered(client(8)), { timeout: 25_000, interval: 50 })
})
