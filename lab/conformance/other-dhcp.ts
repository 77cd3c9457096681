import { spawn } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../src/config/command.ts'
import type { Dialect } from '../../src/dhcp/snippets.ts'
import { inside } from '../../src/machine/namespace.ts'
import { endPid } from '../../src/machine/process.ts'
import { network, type Place } from '../place.ts'

/** Another DHCP server on a lab's network, in a namespace of its own, with an address of its own. */
export interface OtherDhcp {
  readonly address: string
  close(): Promise<void>
}

const address = '10.77.0.2'
const range = ['10.77.0.200', '10.77.0.240'] as const

/**
 * Starts a real server that gives out addresses; with `snippet`, its configuration of who boots from where.
 * `checkConfiguration` has parsed it before.
 */
export async function startOtherDhcp(place: Place, kind: Dialect, snippet = ''): Promise<OtherDhcp> {
  const namespace = `${place.name}-other`
  const directory = join(place.directory, 'other-dhcp')
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true })
  await run('ip', ['netns', 'delete', namespace]).catch(() => {})
  await run('ip', ['netns', 'add', namespace])
  const link = ['link', 'add', 'other', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace]
  await run('ip', ['-n', place.name, 'link', 'delete', 'other']).catch(() => {})
  await run('ip', ['-n', place.name, ...link])
  await run('ip', ['-n', place.name, 'link', 'set', 'other', 'master', network.bridge, 'up'])
  await run('ip', ['-n', namespace, 'address', 'add', `${address}/${network.prefix}`, 'dev', 'eth0'])
  await run('ip', ['-n', namespace, 'link', 'set', 'lo', 'up'])
  await run('ip', ['-n', namespace, 'link', 'set', 'eth0', 'up'])
  const file = join(directory, 'configuration')
  await writeFile(file, configuration[kind](snippet, directory))
  await run(...checks[kind](file))
  const [command, ...words] = inside(namespace, servers[kind](file, directory))
  const child = spawn(command, words, {
    stdio: 'ignore',
    env: { ...process.env, KEA_PIDFILE_DIR: directory, KEA_LOCKFILE_DIR: directory },
  })
  return {
    address,
    async close() {
      if (child.pid !== undefined) await endPid(child.pid)
      await run('ip', ['netns', 'delete', namespace])
    },
  }
}

/**
 * For dhcpd: says what a DHCP server says that runs beside a boot server on one machine (PXE 2.1 §2.2.4). Whoever is told
 * `PXEClient` and no file asks that machine at port 4011 what to load.
 */
export const besideBootServer = (server: string) => `server-identifier ${server};
if substring(option vendor-class-identifier, 0, 9) = "PXEClient" {
  option vendor-class-identifier "PXEClient";
  next-server ${server};
}`

const configuration: { readonly [kind in Dialect]: (snippet: string, directory: string) => string } = {
  dnsmasq: (snippet) => `${snippet}\nport=0\nno-ping\ninterface=eth0\ndhcp-range=${range.join(',')},255.255.255.0,1h\n`,
  kea: (snippet) => {
    const subnet = { subnet: network.subnet, pools: [{ pool: range.join('-') }] }
    const own = `"interfaces-config": { "interfaces": ["eth0"] }, "lease-database": { "type": "memfile", "persist": false }`
    return `{ "Dhcp4": { ${snippet}${snippet && ','} ${own}, "subnet4": [${JSON.stringify(subnet)}] } }\n`
  },
  isc: (snippet) => `${snippet}\nsubnet 10.77.0.0 netmask 255.255.255.0 { range ${range.join(' ')}; }\n`,
}

/** Each server's own check of its configuration, which fails for what it does not understand. */
const checks: { readonly [kind in Dialect]: (file: string) => [string, string[]] } = {
  dnsmasq: (file) => ['dnsmasq', ['--test', `--conf-file=${file}`]],
  kea: (file) => ['kea-dhcp4', ['-t', file]],
  isc: (file) => ['dhcpd', ['-t', '-cf', file]],
}

const servers: { readonly [kind in Dialect]: (file: string, directory: string) => string[] } = {
  dnsmasq: (file, directory) => [
    ...['dnsmasq', '--no-daemon', '--user=root', `--conf-file=${file}`],
    `--dhcp-leasefile=${join(directory, 'leases')}`,
  ],
  kea: (file) => ['kea-dhcp4', '-c', file],
  isc: (file, directory) => [
    ...['sh', '-c', `: >"$2/leases"; exec dhcpd -f -q -cf "$1" -lf "$2/leases" -pf "$2/pid" eth0`],
    ...['sh', file, directory],
  ],
}
