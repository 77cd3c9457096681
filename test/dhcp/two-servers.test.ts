import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { silent } from '../../src/config/log.ts'
import { openLeases } from '../../src/state/leases.ts'
import { openState, type State } from '../../src/state/redis.ts'

// Two real servers in one namespace, each with an address of its own, on one Redis; perfdhcp broadcasts to both.
const root = process.getuid?.() === 0
const needsRoot = test.skipIf(!root)
const spaces = { servers: `bltwo${process.pid}`, clients: `bltwo${process.pid}c` }
const [first, second] = ['10.76.0.1', '10.76.0.2']
const serverScript = fileURLToPath(new URL('./serve.ts', import.meta.url))
let directory: string
let state: State
const ip = (...words: string[]) => execa('ip', words)

beforeAll(async () => {
  if (!root) return
  directory = await mkdtemp(join(tmpdir(), 'two-'))
  // Redis is ours: it outlives either server.
  state = await openState({ directory }, silent)
  for (const space of Object.values(spaces)) await ip('netns', 'add', space)
  await ip('-n', spaces.servers, 'link', 'add', 'boot', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', spaces.clients)
  for (const address of [first, second]) await ip('-n', spaces.servers, 'addr', 'add', `${address}/16`, 'dev', 'boot')
  await ip('-n', spaces.servers, 'link', 'set', 'boot', 'up')
  await ip('-n', spaces.clients, 'addr', 'add', '10.76.0.9/16', 'broadcast', '+', 'dev', 'eth0')
  await ip('-n', spaces.clients, 'link', 'set', 'eth0', 'up')
})
afterAll(async () => {
  if (!root) return
  for (const space of Object.values(spaces)) await execa('ip', ['netns', 'del', space], { reject: false })
  await state?.close()
  await rm(directory, { recursive: true, force: true })
})

const settings = JSON.stringify({
  probe: 'off',
  subnets: [{ subnet: '10.76.0.0/16', range: ['10.76.1.0', '10.76.9.255'] }],
})

async function startServer(address: string) {
  const words = [
    'netns',
    'exec',
    spaces.servers,
    process.execPath,
    serverScript,
    directory,
    settings,
    `boot=${address}`,
  ]
  const server = execa('ip', words, { reject: false, stderr: 'inherit', maxBuffer: 100_000_000 })
  let output = ''
  server.stdout.on('data', (data) => {
    output += data
  })
  await vi.waitFor(() => expect(output).toContain('ready'), { timeout: 25_000 })
  return { server, count: (type: string) => output.split(`"type":"${type}"`).length - 1 }
}

needsRoot(
  'of two servers one is killed under load: no address goes to two clients, and the other serves on',
  async ({ skip }) => {
    const [doomed, survivor] = await Promise.all([startServer(first), startServer(second)])
    const load = ['-r', '200', '-R', '5000', '-p', '5', '-u', '-W', '1000000']
    const words = ['netns', 'exec', spaces.clients, 'perfdhcp', '-4', '-l', 'eth0', ...load, 'all']
    const run = execa('ip', words, { reject: false, timeout: 30_000 })
    await sleep(2500)
    const before = survivor.count('ack')
    doomed.server.kill('SIGKILL')
    const { stdout, stderr } = await run
    survivor.server.kill('SIGTERM')
    await Promise.all([survivor.server, doomed.server])
    skip(stderr.includes('exec of "perfdhcp" failed'), 'perfdhcp (package kea-admin) is not installed')

    // Both served while both were there; afterwards one did.
    expect(doomed.count('ack')).toBeGreaterThan(0)
    expect(survivor.count('ack') - before).toBeGreaterThan(200)
    expect(doomed.count('nak') + survivor.count('nak')).toBe(0)
    const bound = (await openLeases(state.redis).list('10.76.0.0/16')).filter((lease) => lease.state === 'bound')
    expect(bound.length).toBeGreaterThan(900)
    // Every exchange is a client of its own: whatever ACK came from either server, its lease is there.
    const acknowledged = Number([...stdout.matchAll(/received packets: (\d+)/g)].at(-1)![1])
    expect(acknowledged).toBeGreaterThan(0)
    expect(bound.length).toBeGreaterThanOrEqual(acknowledged)
    expect(new Set(bound.map(({ client }) => client)).size).toBe(bound.length)
    expect(new Set(bound.map(({ address }) => address)).size).toBe(bound.length)
    // Of the OFFERs each came twice, and from both servers with the same address; of the ACKs none.
    expect([...stdout.matchAll(/non unique addresses: (\d+)/g)].at(-1)![1]).toBe('0')
    const orphans = Number(stdout.match(/orphans: (\d+)/)![1])
    expect(Number(stdout.match(/non unique addresses: (\d+)/)![1])).toBe(orphans)
  },
  40_000,
)
