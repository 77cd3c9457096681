import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { run } from '../../src/config/command.ts'
import { BootloomError } from '../../src/config/errors.ts'
import { inside } from '../../src/machine/namespace.ts'

/** A server's namespace and a client's, joined by a veth pair; each server under test has a directory of its own. */
export interface DhcpPlace {
  readonly directory: string
  readonly server: string
  readonly client: string
}

/** A /12: a million addresses, so that no trial ever meets a full pool. */
export const net = {
  interface: 'eth0',
  server: '10.80.0.1',
  relay: '10.80.0.2',
  subnet: '10.80.0.0/12',
  range: ['10.81.0.0', '10.95.255.254'],
} as const

export async function makePlace(name: string): Promise<DhcpPlace> {
  const place = { directory: join('/var/lib', name), server: name, client: `${name}-clients` }
  await removePlace(place)
  await mkdir(place.directory, { recursive: true })
  for (const space of [place.server, place.client]) await run('ip', ['netns', 'add', space])
  const pair = ['link', 'add', net.interface, 'type', 'veth', 'peer', net.interface, 'netns', place.server]
  await run('ip', ['-n', place.client, ...pair])
  for (const [space, address] of [
    [place.server, net.server],
    [place.client, net.relay],
  ] as const) {
    await run('ip', ['-n', space, 'address', 'add', `${address}/12`, 'broadcast', '+', 'dev', net.interface])
    await run('ip', ['-n', space, 'link', 'set', net.interface, 'up'])
    await run('ip', ['-n', space, 'link', 'set', 'lo', 'up'])
  }
  return place
}

export async function removePlace(place: DhcpPlace): Promise<void> {
  for (const space of [place.server, place.client]) await run('ip', ['netns', 'delete', space]).catch(() => {})
  await rm(place.directory, { recursive: true, force: true })
}

export interface Contender {
  readonly name: string
  /** A rate to begin the search at, and one that it surely bears. */
  readonly start: number
  readonly filling: number
  /** Files first, in an empty directory; then the command. */
  command(directory: string): Promise<{ readonly words: readonly string[]; readonly env?: Record<string, string> }>
}

const launcher = fileURLToPath(new URL('../../src/bootloom.sh', import.meta.url))

/** The boot role as it is, with all that it does beside DHCP. */
export const bootloom: Contender = {
  name: 'Bootloom',
  start: 5000,
  filling: 1000,
  async command(directory) {
    const settings = {
      state: directory,
      log: { level: 'info' },
      network: { interface: net.interface },
      dhcp: { subnets: [{ subnet: net.subnet, range: net.range }] },
    }
    await writeFile(join(directory, 'bootloom.yaml'), JSON.stringify(settings))
    const words = ['sh', launcher, 'serve', '--role', 'boot', '--config', join(directory, 'bootloom.yaml')]
    return { words }
  },
}

/** Memfile, persisted; two threads, one for each core; otherwise as it comes. */
export const kea: Contender = {
  name: 'Kea memfile',
  start: 4000,
  filling: 1000,
  async command(directory) {
    const configuration = {
      Dhcp4: {
        'interfaces-config': { interfaces: [net.interface], 'dhcp-socket-type': 'udp' },
        'lease-database': { type: 'memfile', persist: true, name: join(directory, 'leases.csv'), 'lfc-interval': 3600 },
        'multi-threading': { 'enable-multi-threading': true, 'thread-pool-size': 2, 'packet-queue-size': 64 },
        'valid-lifetime': 3600,
        subnet4: [{ id: 1, subnet: net.subnet, pools: [{ pool: net.range.join(' - ') }] }],
        loggers: [{ name: 'kea-dhcp4', severity: 'WARN', output_options: [{ output: join(directory, 'kea.log') }] }],
      },
    }
    await writeFile(join(directory, 'kea.json'), JSON.stringify(configuration))
    return {
      words: ['kea-dhcp4', '-c', join(directory, 'kea.json')],
      env: { KEA_PIDFILE_DIR: directory, KEA_LOCKFILE_DIR: directory },
    }
  },
}

/** Authoritative, without its ping before an offer, which neither of the others sends. */
export const dnsmasq: Contender = {
  name: 'dnsmasq',
  start: 150,
  filling: 100,
  async command(directory) {
    const [first, last] = net.range
    return {
      words: [
        'dnsmasq',
        '--no-daemon',
        '--conf-file=/dev/null',
        '--port=0',
        '--user=root',
        `--interface=${net.interface}`,
        '--bind-interfaces',
        `--dhcp-range=${first},${last},255.240.0.0,1h`,
        '--dhcp-authoritative',
        '--no-ping',
        '--quiet-dhcp',
        '--dhcp-lease-max=1000000',
        `--dhcp-leasefile=${join(directory, 'leases')}`,
        `--pid-file=${join(directory, 'pid')}`,
      ],
    }
  },
}

/** Runs `use` while the contender serves, from an empty lease table; it is gone when this returns. */
export async function whileServing<T>(place: DhcpPlace, contender: Contender, use: () => Promise<T>): Promise<T> {
  const directory = join(place.directory, 'state')
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true })
  const { words, env = {} } = await contender.command(directory)
  const [file, ...args] = inside(place.server, words)
  const server = execa(file, args, {
    env,
    reject: false,
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: { file: `${place.directory}/${contender.name}.log` },
    cleanup: true,
  })
  try {
    await untilListening(place, contender)
    return await use()
  } finally {
    server.kill('SIGTERM')
    await server
  }
}

async function untilListening(place: DhcpPlace, contender: Contender): Promise<void> {
  const [file, ...args] = inside(place.server, ['ss', '-Hulnp', 'sport = :67'])
  for (const began = Date.now(); Date.now() - began < 15_000; await sleep(100)) {
    if ((await run(file, args)).includes(':67')) {
      // Listening is not yet serving: bind.pl opens the socket before Bootloom starts.
      await sleep(2500)
      return
    }
  }
  throw new BootloomError('LAB_FAILED', `${contender.name} does not listen`, { where: place.directory })
}
