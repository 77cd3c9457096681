import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { execa, type ResultPromise } from 'execa'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'

// Real clients against the server in its own process. The server's namespace has two interfaces, `boot` and `office`,
// each leading to a namespace with a client; it serves `boot` alone.
const name = `bldhcp${process.pid}`
const spaces = { server: name, boot: `${name}b`, office: `${name}o` }
const root = process.getuid?.() === 0
const serverScript = fileURLToPath(new URL('./serve.ts', import.meta.url))
const clientScript = fileURLToPath(new URL('./npm-client.ts', import.meta.url))
let directory: string
let server: ResultPromise
const events: { type?: string; mac?: string; address?: string; ready?: number }[] = []
const logged: string[] = []

const ip = (...words: string[]) => execa('ip', words)
const within = (space: string, words: readonly string[], timeout = 15_000) =>
  execa('ip', ['netns', 'exec', space, ...words], { reject: false, timeout, cwd: directory })

beforeAll(async () => {
  if (!root) return
  directory = await mkdtemp(join(tmpdir(), 'dhcp-'))
  for (const space of Object.values(spaces)) {
    await ip('netns', 'add', space)
    await ip('-n', space, 'link', 'set', 'lo', 'up')
  }
  for (const [side, address] of [
    ['boot', '10.78.0.1/24'],
    ['office', '10.79.0.1/24'],
  ] as const) {
    await ip('-n', spaces.server, 'link', 'add', side, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', spaces[side])
    await ip('-n', spaces.server, 'addr', 'add', address, 'dev', side)
    await ip('-n', spaces.server, 'link', 'set', side, 'up')
    await ip('-n', spaces[side], 'link', 'set', 'eth0', 'up')
    await ip('-n', spaces[side], 'route', 'add', 'default', 'dev', 'eth0')
  }
  const settings = '{ subnets: [{ subnet: 10.78.0.0/24, range: [10.78.0.100, 10.78.0.250] }] }'
  const words = [join(directory, 'state'), settings, 'boot=10.78.0.1']
  const command = ['netns', 'exec', spaces.server, process.execPath, serverScript, ...words]
  server = execa('ip', command, { buffer: false })
  createInterface({ input: server.stdout! }).on('line', (line) => events.push(JSON.parse(line)))
  createInterface({ input: server.stderr! }).on('line', (line) => logged.push(line))
  await vi.waitFor(() => expect(events).toHaveLength(1), { timeout: 25_000 })
})
afterAll(async () => {
  if (!root) return
  server?.kill('SIGTERM')
  await server?.catch(() => {})
  for (const space of Object.values(spaces)) await execa('ip', ['netns', 'del', space], { reject: false })
  await rm(directory, { recursive: true, force: true })
})

const udhcpc = (space: string, ...more: string[]) =>
  within(space, ['busybox', 'udhcpc', '-i', 'eth0', '-f', '-q', '-n', '-t', '3', '-T', '1', '-s', '/bin/true', ...more])
const leased = (text: string) => text.match(/lease of (\S+) obtained/)?.[1]

const needsRoot = test.skipIf(!root)

needsRoot('the process that was started is the one that serves, begun anew with its socket', () => {
  expect(events[0]).toEqual({ ready: server.pid })
})

needsRoot('busybox udhcpc gets an address, and the same one again whatever it asks for', async () => {
  const first = leased((await udhcpc(spaces.boot)).stderr)
  expect(first).toMatch(/^10\.78\.0\./)
  expect(leased((await udhcpc(spaces.boot)).stderr)).toBe(first)
  expect(leased((await udhcpc(spaces.boot, '-r', '10.78.0.200')).stderr)).toBe(first)
  expect(
    events
      .slice(1)
      .map((event) => event.type)
      .slice(0, 4),
  ).toEqual(['discover', 'offer', 'request', 'ack'])
})

needsRoot('a client on the other interface hears nothing, and the server hears nothing of it', async () => {
  const before = events.length
  const { stderr, exitCode } = await udhcpc(spaces.office)
  expect(stderr).toContain('no lease')
  expect(exitCode).toBe(1)
  // Nor by unicast to the address that the server does have.
  const probe = "use Socket; socket(S,PF_INET,SOCK_DGRAM,0); send(S,'x'x300,0,sockaddr_in(67,inet_aton('10.78.0.1')))"
  await within(spaces.office, ['perl', '-e', probe])
  expect(events.length).toBe(before)
})

needsRoot('ISC dhclient gets an address', async ({ skip }) => {
  const words = [
    'dhclient',
    '-4',
    '-1',
    '-d',
    '-sf',
    '/bin/true',
    '-lf',
    join(directory, 'dhclient.leases'),
    '-pf',
    join(directory, 'dhclient.pid'),
    'eth0',
  ]
  const run = within(spaces.boot, words, 8000)
  const lines = createInterface({ input: run.stderr! })
  let bound = false
  for await (const line of lines) {
    if (line.includes('exec of "dhclient" failed')) skip('dhclient is not installed')
    bound ||= /bound to 10\.78\.0\.\d+/.test(line)
    if (bound) break
  }
  run.kill('SIGTERM')
  await run
  expect(bound).toBe(true)
})

needsRoot('the npm package dhcp understands our offer', async () => {
  const { stdout, stderr } = await within(spaces.boot, [process.execPath, clientScript], 8000)
  expect(stdout, stderr).toContain('"yiaddr":"10.78.0.')
  expect(JSON.parse(stdout)).toMatchObject({ server: '10.78.0.1', lease: 3600 })
})

needsRoot('perfdhcp, as a relay, gets a hundred addresses and none twice', async ({ skip }) => {
  await ip('-n', spaces.boot, 'addr', 'add', '10.78.0.9/24', 'dev', 'eth0')
  const words = ['perfdhcp', '-4', '-l', 'eth0', '-r', '50', '-R', '100', '-n', '100', '-W', '1000000', '10.78.0.1']
  const { stdout, stderr } = await within(spaces.boot, words)
  skip(stderr.includes('exec of "perfdhcp" failed'), 'perfdhcp (package kea-admin) is not installed')
  expect(stdout).toContain('non unique addresses: 0')
  const received = [...stdout.matchAll(/received packets: (\d+)/g)].map((match) => Number(match[1]))
  expect(Math.min(...received)).toBeGreaterThanOrEqual(99)
})

describe('of many that ask at once, each gets one answer of its own', () => {
  const script = fileURLToPath(new URL('./ask-at-once.ts', import.meta.url))
  const ask = async (...words: string[]) => {
    const { stdout, stderr } = await within(spaces.boot, [process.execPath, script, ...words])
    const answers: { xid: number; client: string; address: string; bytes: number }[] = JSON.parse(stdout || '[]')
    expect(answers, stderr).toHaveLength(Number(words[0]))
    expect(new Set(answers.map(({ xid }) => xid)).size).toBe(answers.length)
    expect(new Set(answers.map(({ address }) => address)).size).toBe(answers.length)
    for (const { xid, client, bytes } of answers) {
      expect(Number.parseInt(client.slice(-2), 16)).toBe(xid)
      expect(bytes).toBe(300)
    }
  }

  needsRoot('through a relay', () => ask('20', '10.78.0.1', '10.78.0.9'))
  needsRoot('without an address', () => ask('20', '10.78.0.1'))
  needsRoot('where the way is too narrow for the kernel to cut for us', async () => {
    await ip('-n', spaces.server, 'route', 'change', '10.78.0.0/24', 'dev', 'boot', 'mtu', 'lock', '320')
    await ask('20', '10.78.0.1', '10.78.0.9')
    expect(logged.join()).toContain('dhcp-one-by-one')
  })
})

needsRoot('it ends by SIGTERM, with status 0', async () => {
  server.kill('SIGTERM')
  expect((await server).exitCode).toBe(0)
})
