import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
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
/** What the server logs. */
const log: string[] = []
const events: { type?: string; mac?: string; at?: number; address?: string; reason?: string; ready?: number }[] = []

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
  await ip('-n', spaces.server, 'link', 'add', 'rack', 'type', 'veth', 'peer', 'name', 'eth1', 'netns', spaces.client)
  await ip('-n', spaces.server, 'addr', 'add', '10.75.0.1/24', 'dev', 'rack')
  await ip('-n', spaces.server, 'link', 'set', 'rack', 'up')
  await ip('-n', spaces.client, 'link', 'set', 'eth1', 'up')
  redis = startRedis()
  await sleep(300)
  const settings = {
    mode: 'auto',
    subnets: [
      { subnet: '10.76.0.0/24', range: ['10.76.0.100', '10.76.0.249'], router: '10.76.0.1' },
      { subnet: '10.75.0.0/24', range: ['10.75.0.100', '10.75.0.249'] },
    ],
  }
  const words = ['redis://127.0.0.1:6399', JSON.stringify(settings), 'boot=10.76.0.1', 'rack=10.75.0.1']
  server = execa('ip', ['netns', 'exec', spaces.server, process.execPath, serverScript, ...words], {
    buffer: false,
    stderr: 'pipe',
  })
  createInterface({ input: server.stdout! }).on('line', (line) => events.push(JSON.parse(line)))
  createInterface({ input: server.stderr! }).on('line', (line) => log.push(line))
  // Nobody else answers, so it serves; it takes 4.5 s to be sure.
  const decided = () => log.filter((line) => line.includes('"mode":"server"'))
  await vi.waitFor(() => expect(decided()).toHaveLength(2), { timeout: 20_000, interval: 100 })
}, 40_000)
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
    expect(kinds(again)).not.toContain('discover')
    expect(kinds(again).slice(-2)).toEqual(['request', 'ack'])
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
  'dhcpcd gets an address',
  async () => {
    const from = events.length
    // It remembers leases in places of the machine's own: it is given empty ones.
    const hide = 'for d in /var/lib/dhcpcd /run/dhcpcd; do mkdir -p $d; mount -t tmpfs none $d; done; exec "$@"'
    const { stderr, stdout } = await within(spaces.client, [
      ...['sh', '-c', hide, 'sh', 'dhcpcd', '-4', '-1', '-B', '-A', '--noipv4ll', '-t', '15', '-c', '/bin/true'],
      ...['--config', '/dev/null', 'eth0'],
    ])
    expect(`${stdout}${stderr}`).toMatch(/leased 10\.76\.0\.\d+/)
    expect(kinds(from)).toEqual(expect.arrayContaining(['discover', 'offer', 'request', 'ack']))
    await ip('-n', spaces.client, 'address', 'flush', 'dev', 'eth0')
  },
  30_000,
)

test.skipIf(!root)(
  'systemd-networkd, known by its DUID, gets the address that the firmware of its machine had, and firmware that again',
  async () => {
    const firmware = async () => {
      const pxe = ['-V', 'PXEClient:Arch:00000:UNDI:002001', '-n', '-q', '-f', '-t', '4', '-T', '1', '-s', '/bin/true']
      const { stdout, stderr } = await within(spaces.client, ['busybox', 'udhcpc', '-i', 'eth0', ...pxe])
      return `${stdout}${stderr}`.match(/lease of (\S+) obtained/)?.[1]
    }
    const booted = await firmware()
    expect(booted).toMatch(own)
    const network = join(directory, 'networkd')
    await mkdir(network)
    await writeFile(join(network, '10.network'), '[Match]\nName=eth0\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\n')
    // It waits for udev unless /sys is read-only, and reads and keeps what is the machine's own.
    const hide = [
      'mount -o remount,ro,bind /sys 2>/dev/null || mount -t sysfs -o ro none /sys',
      'mount -t tmpfs none /run',
      'mkdir -p /run/systemd/network /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp',
      'cp "$1/10.network" /run/systemd/network/',
      'chown -R systemd-network:systemd-network /run/systemd/netif',
      'exec /lib/systemd/systemd-networkd',
    ].join(' && ')
    const from = events.length
    const client = execa('ip', ['netns', 'exec', spaces.client, 'sh', '-c', hide, 'sh', network], { reject: false })
    try {
      await vi.waitFor(async () => expect(await addresses()).toEqual([booted]), { timeout: 25_000, interval: 200 })
      expect(kinds(from)).toEqual(expect.arrayContaining(['discover', 'ack']))
      const { stdout } = await ip('-n', spaces.client, 'route')
      expect(stdout).toContain('default via 10.76.0.1')
      expect(await firmware()).toBe(booted)
    } finally {
      client.kill('SIGKILL')
      await client
      await ip('-n', spaces.client, 'address', 'flush', 'dev', 'eth0')
    }
  },
  30_000,
)

test.skipIf(!root)('each of two interfaces has its own subnet, and its own server', async () => {
  const { stdout, stderr } = await within(spaces.client, [
    ...['busybox', 'udhcpc', '-i', 'eth1', '-n', '-q', '-f', '-t', '4', '-T', '1', '-s', '/bin/true'],
  ])
  expect(`${stdout}${stderr}`).toMatch(/lease of 10\.75\.0\.\d+ obtained from 10\.75\.0\.1/)
})

test.skipIf(!root)('the first offer of an address goes out at once: it was asked for on the wire before', async () => {
  await ip('-n', spaces.client, 'link', 'add', 'quick', 'link', 'eth0', 'type', 'macvlan', 'mode', 'bridge')
  await ip('-n', spaces.client, 'link', 'set', 'quick', 'up')
  const from = events.length
  const { stdout, stderr } = await within(spaces.client, [
    ...['busybox', 'udhcpc', '-i', 'quick', '-n', '-q', '-f', '-t', '4', '-T', '1', '-s', '/bin/true'],
  ])
  await ip('-n', spaces.client, 'link', 'delete', 'quick')
  expect(`${stdout}${stderr}`).toMatch(/lease of 10\.76\.0\.\d+ obtained/)
  const offer = events.slice(from).find(({ type }) => type === 'offer')!
  const discover = events.slice(from).find(({ type, mac }) => type === 'discover' && mac === offer.mac)!
  // Asking on the wire takes 300 ms.
  expect(offer.at! - discover.at!).toBeLessThan(150)
})

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
      await vi.waitFor(async () => expect(await readFile(out, 'utf8')).toContain('bound'), { timeout: 25_000 })
      const [address] = await addresses()
      expect(address).toMatch(own)
      redis.kill('SIGKILL')
      await redis
      const from = events.length
      // SIGUSR1 makes udhcpc renew now.
      client.kill('SIGUSR1')
      await vi.waitFor(async () => expect(await readFile(out, 'utf8')).toContain(`renew ${address}`), {
        timeout: 25_000,
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
