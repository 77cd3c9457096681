import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { execa, type ResultPromise } from 'execa'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

// Clients of operating systems, one after the other, against the server in its own process with a Redis of its own.
const name = `bldhcl${process.pid}`
const spaces = { server: name, client: `${name}c` }
const root = process.getuid?.() === 0
const serverScript = fileURLToPath(new URL('./serve.ts', import.meta.url))
let directory: string
let redis: ReturnType<typeof startRedis>
let server: ResultPromise
const events: { type?: string; address?: string; reason?: string; ready?: number }[] = []

const ip = (...words: string[]) => execa('ip', words)
const within = (space: string, words: readonly string[], timeout = 20_000) =>
  execa('ip', ['netns', 'exec', space, ...words], { reject: false, timeout, cwd: directory })
const startRedis = () =>
  execa(
    'ip',
    ['netns', 'exec', spaces.server, 'redis-server', '--port', '6399', '--appendonly', 'yes', '--dir', directory],
    {
      stdio: 'ignore',
      reject: false,
    },
  )
/** The addresses on the client's interface. */
async function addresses(): Promise<string[]> {
  const { stdout } = await ip('-n', spaces.client, '-j', 'address', 'show', 'dev', 'eth0')
  const [link] = JSON.parse(stdout) as { addr_info: { family: string; local: string }[] }[]
  return link!.addr_info.filter(({ family }) => family === 'inet').map(({ local }) => local)
}
const own = /^10\.76\.0\.(1\d\d|2[0-4]\d)$/
const kinds = (from: number) => events.slice(from).map(({ type }) => type)

beforeAll(async () => {
  if (!root) return
  directory = await mkdtemp(join(tmpdir(), 'dhcp-clients-'))
  for (const space of Object.values(spaces)) {
    await ip('netns', 'add', space)
    await ip('-n', space, 'link', 'set', 'lo', 'up')
  }
  await ip('-n', spaces.server, 'link', 'add', 'boot', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', spaces.client)
  await ip('-n', spaces.server, 'addr', 'add', '10.76.0.1/24', 'dev', 'boot')
  await ip('-n', spaces.server, 'link', 'set', 'boot', 'up')
  await ip('-n', spaces.client, 'link', 'set', 'eth0', 'up')
  redis = startRedis()
  await sleep(300)
  const settings = '{ subnets: [{ subnet: 10.76.0.0/24, range: [10.76.0.100, 10.76.0.249], router: 10.76.0.1 }] }'
  const words = ['redis://127.0.0.1:6399', settings, 'boot=10.76.0.1']
  server = execa('ip', ['netns', 'exec', spaces.server, process.execPath, serverScript, ...words], {
    buffer: false,
    stderr: 'pipe',
  })
  createInterface({ input: server.stdout! }).on('line', (line) => events.push(JSON.parse(line)))
  await vi.waitFor(() => expect(events).toHaveLength(1), { timeout: 15_000 })
}, 30_000)
afterAll(async () => {
  server?.kill('SIGTERM')
  await server?.catch(() => {})
  redis?.kill('SIGKILL')
  await redis
  for (const space of Object.values(spaces)) await ip('netns', 'delete', space).catch(() => {})
  if (directory) await rm(directory, { recursive: true, force: true })
})

test.skipIf(!root)('udhcpc: a wrong address asked for is another one given', async () => {
  const { stdout, stderr } = await within(spaces.client, [
    ...[
      'busybox',
      'udhcpc',
      '-i',
      'eth0',
      '-n',
      '-q',
      '-f',
      '-t',
      '4',
      '-T',
      '1',
      '-s',
      '/bin/true',
      '-r',
      '192.168.7.7',
    ],
  ])
  expect(`${stdout}${stderr}`).toMatch(/lease of 10\.76\.0\.\d+ obtained/)
})

test.skipIf(!root)(
  'dhclient: an address of another network is refused, and one of ours is bound at once',
  async () => {
    const leases = join(directory, 'dhclient.leases')
    const until = 'never;'
    await writeFile(
      leases,
      `lease { interface "eth0"; fixed-address 192.168.9.9; option subnet-mask 255.255.255.0; option dhcp-server-identifier 192.168.9.1; option dhcp-lease-time 3600; renew ${until} rebind ${until} expire ${until} }\n`,
    )
    const from = events.length
    const script = join(directory, 'dhclient-script')
    await writeFile(script, '#!/bin/sh\nexit 0\n', { mode: 0o755 })
    const words = ['-1', '-v', '-lf', leases, '-pf', join(directory, 'dhclient.pid'), '-sf', script]
    const { stderr } = await within(spaces.client, ['dhclient', '-cf', '/dev/null', ...words, 'eth0'])
    expect(stderr).toMatch(/DHCPNAK[\s\S]*bound to 10\.76\.0\.\d+/)
    expect(kinds(from)).toEqual(expect.arrayContaining(['nak', 'offer', 'ack']))
    // It stays: let it renew by ending and starting it anew, now with a lease that is right (INIT-REBOOT).
    await within(spaces.client, ['dhclient', '-x', '-pf', join(directory, 'dhclient.pid'), 'eth0'])
    const again = events.length
    const second = await within(spaces.client, ['dhclient', '-cf', '/dev/null', ...words, 'eth0'])
    expect(second.stderr).toMatch(/bound to 10\.76\.0\.\d+/)
    expect(kinds(again)).toEqual(['request', 'ack'])
    await within(spaces.client, [
      'dhclient',
      '-r',
      '-lf',
      leases,
      '-pf',
      join(directory, 'dhclient.pid'),
      '-sf',
      script,
    ])
  },
  40_000,
)

test.skipIf(!root)(
  'dhcpcd gets an address, and gives it back',
  async () => {
    const from = events.length
    const { stderr, stdout } = await within(spaces.client, [
      ...[
        'dhcpcd',
        '-4',
        '-1',
        '-B',
        '-A',
        '--noipv4ll',
        '-t',
        '15',
        '-c',
        '/bin/true',
        '--config',
        '/dev/null',
        'eth0',
      ],
    ])
    expect(`${stdout}${stderr}`).toMatch(/leased 10\.76\.0\.\d+/)
    expect(kinds(from)).toEqual(expect.arrayContaining(['discover', 'offer', 'request', 'ack']))
    await ip('-n', spaces.client, 'address', 'flush', 'dev', 'eth0')
  },
  30_000,
)

test.skipIf(!root)('an address that a stranger uses is never offered', async () => {
  await ip('-n', spaces.client, 'address', 'add', '10.76.0.150/24', 'dev', 'eth0')
  const options = ['-r', '10.76.0.150', '-x', 'hostname:probe', '-C']
  await ip('-n', spaces.client, 'link', 'add', 'other', 'link', 'eth0', 'type', 'macvlan', 'mode', 'bridge')
  await ip('-n', spaces.client, 'link', 'set', 'other', 'up')
  const { stdout, stderr } = await within(spaces.client, [
    ...['busybox', 'udhcpc', '-i', 'other', '-n', '-q', '-f', '-t', '4', '-T', '1', '-s', '/bin/true', ...options],
  ])
  expect(`${stdout}${stderr}`).toMatch(/lease of 10\.76\.0\.\d+ obtained/)
  expect(`${stdout}${stderr}`).not.toContain('10.76.0.150')
  await ip('-n', spaces.client, 'link', 'delete', 'other')
  await ip('-n', spaces.client, 'address', 'flush', 'dev', 'eth0')
})

test.skipIf(!root)(
  'Redis away: a known client keeps its address, and a new one gets one when Redis is back',
  async () => {
    const script = join(directory, 'udhcpc-script')
    await writeFile(
      script,
      '#!/bin/sh\ncase "$1" in bound|renew) ip address replace "$ip/24" dev "$interface"; echo "$1 $ip" >>"$OUT";; esac\n',
      { mode: 0o755 },
    )
    const out = join(directory, 'udhcpc.out')
    const client = execa(
      'ip',
      ['netns', 'exec', spaces.client, 'busybox', 'udhcpc', '-i', 'eth0', '-f', '-t', '4', '-T', '1', '-s', script],
      { reject: false, env: { OUT: out } },
    )
    try {
      await vi.waitFor(async () => expect(await readFile(out, 'utf8')).toContain('bound'), { timeout: 10_000 })
      const [address] = await addresses()
      expect(address).toMatch(own)
      redis.kill('SIGKILL')
      await redis
      const from = events.length
      // SIGUSR1 makes udhcpc renew now.
      client.kill('SIGUSR1')
      await vi.waitFor(async () => expect(await readFile(out, 'utf8')).toContain(`renew ${address}`), {
        timeout: 10_000,
      })
      expect(kinds(from)).toContain('ack')
      await ip('-n', spaces.client, 'link', 'add', 'new', 'link', 'eth0', 'type', 'macvlan', 'mode', 'bridge')
      await ip('-n', spaces.client, 'link', 'set', 'new', 'up')
      const ask = (tries: string) =>
        within(spaces.client, [
          ...['busybox', 'udhcpc', '-i', 'new', '-n', '-q', '-f', '-t', tries, '-T', '1', '-s', '/bin/true'],
        ])
      const newcomer = await ask('2')
      expect(`${newcomer.stdout}${newcomer.stderr}`).toContain('no lease')
      redis = startRedis()
      const later = await ask('10')
      expect(`${later.stdout}${later.stderr}`).toMatch(/lease of 10\.76\.0\.\d+ obtained/)
    } finally {
      client.kill('SIGKILL')
      await client
      await ip('-n', spaces.client, 'link', 'delete', 'new').catch(() => {})
    }
  },
  60_000,
)
