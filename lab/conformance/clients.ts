import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { run } from '../../src/config/command.ts'
import { network, type Place } from '../place.ts'
import { insideNodes, nodesInterface, nodesNamespace, settleNodesInterface } from '../storm/network.ts'

/** One row of the table: what was run, by which way, and how it went. */
export interface Row {
  readonly client: string
  readonly version: string
  readonly road: string
  readonly result: 'ok' | 'fails' | 'not run'
  readonly note: string
}

interface Client {
  readonly client: string
  /** Debian package, or the npm package with `npm:` before it. */
  readonly from: string
  readonly road: string
  /** Run in the nodes' namespace, in a directory of its own. */
  readonly command: readonly string[]
  /** The client needs an address already. */
  readonly addressed?: true
  /** What its output says when it went well. */
  readonly says?: RegExp
  /** The file that it has to have fetched, byte for byte. */
  readonly fetches?: string
  /** Where it differs from the standards, or from what one would expect of it. */
  readonly note?: string
}

const program = '/usr/lib/ipxe/undionly.kpxe'
const own = '10.77.200.1'
const { address: server } = network
const script = (name: string) => fileURLToPath(new URL(`./${name}`, import.meta.url))
const node = process.execPath

export const clients: readonly Client[] = [
  {
    client: 'dhclient',
    from: 'isc-dhcp-client',
    road: 'DHCP',
    // Its lease file has to be there.
    command: ['sh', '-c', `>leases; exec dhclient -1 -v -d -sf /bin/true -lf leases -pf pid ${nodesInterface}`],
    says: /bound to 10\.77\./,
  },
  {
    client: 'udhcpc',
    from: 'busybox-static',
    road: 'DHCP',
    command: ['busybox', 'udhcpc', '-i', nodesInterface, '-f', '-n', '-q', '-s', '/bin/true'],
    says: /lease of 10\.77\.\S+ obtained/,
  },
  {
    client: 'dhcpcd',
    from: 'dhcpcd-base',
    road: 'DHCP',
    command: ['dhcpcd', '-4', '-B', '-1', '-d', '-t', '20', '-c', '/bin/true', '-f', '/dev/null', nodesInterface],
    says: /leased 10\.77\./,
    note: 'Probes its address by ARP for five seconds before it takes it.',
  },
  {
    client: 'systemd-networkd',
    from: 'systemd',
    road: 'DHCP',
    command: ['unshare', '-m', 'sh', script('networkd.sh'), nodesInterface],
    says: /DHCPv4 address 10\.77\./,
    note: 'Identifies itself by a DUID (option 61), not by its MAC: firmware and the running system are two clients to a server that goes by option 61 alone.',
  },
  {
    client: 'perfdhcp',
    from: 'kea-admin',
    road: 'DHCP',
    command: ['perfdhcp', '-4', '-r', '50', '-p', '3', '-R', '50', '-l', own, server],
    addressed: true,
    says: /drops: 0[\s\S]*drops: 0/,
    note: 'Behaves as a relay: sets giaddr, and expects the answer at the port that it sent from.',
  },
  {
    client: 'npm dhcp',
    from: 'npm:dhcp',
    road: 'DHCP, to the OFFER',
    command: [node, fileURLToPath(new URL('../../test/dhcp/npm-client.ts', import.meta.url))],
    addressed: true,
    says: /"yiaddr":"10\.77\./,
    note: 'Its REQUEST lacks option 50, which RFC 2131 §4.3.2 demands: it is never bound, by any server.',
  },
  {
    client: 'npm tftp2',
    from: 'npm:tftp2',
    road: 'TFTP',
    command: [node, script('tftp2-client.ts'), server, 'undionly.kpxe', 'fetched'],
    addressed: true,
    fetches: program,
    note: 'No options, no retransmission, no timeout: it waits for ever after one lost packet.',
  },
  {
    client: 'curl',
    from: 'curl',
    road: 'TFTP',
    command: ['curl', '-sS', '-o', 'fetched', `tftp://${server}/undionly.kpxe`],
    addressed: true,
    fetches: program,
  },
  {
    client: 'curl',
    from: 'curl',
    road: 'TFTP without options',
    command: ['curl', '-sS', '--tftp-no-options', '-o', 'fetched', `tftp://${server}/undionly.kpxe`],
    addressed: true,
    fetches: program,
  },
  {
    client: 'curl',
    from: 'curl',
    road: 'HTTP',
    command: ['curl', '-sSf', '-o', 'fetched', `http://${server}:8080/program/snponly.efi`],
    addressed: true,
    fetches: '/usr/lib/ipxe/snponly.efi',
  },
  {
    client: 'atftp',
    from: 'atftp',
    road: 'TFTP, blksize 1428 and tsize',
    command: [
      ...['atftp', '--option', 'blksize 1428', '--option', 'tsize 0'],
      ...['--get', '-r', 'undionly.kpxe', '-l', 'fetched', server],
    ],
    addressed: true,
    fetches: program,
  },
  {
    client: 'tftp-hpa',
    from: 'tftp-hpa',
    road: 'TFTP',
    command: ['tftp', '-m', 'binary', server, '-c', 'get', 'undionly.kpxe', 'fetched'],
    addressed: true,
    fetches: program,
    note: 'Sends no options: blocks of 512 bytes.',
  },
]

/** Runs each of the clients in turn in the nodes' namespace. */
export async function runClients(place: Place, clients: readonly Client[], onRow: (row: Row) => void): Promise<void> {
  for (const client of clients) onRow(await runClient(place, client))
}

async function runClient(place: Place, client: Client): Promise<Row> {
  const directory = await mkdtemp(join(tmpdir(), 'conformance-'))
  const version = await versionOf(client.from)
  const row = { client: client.client, version, road: client.road }
  try {
    await settleAddresses(place, client.addressed === true)
    const [file, ...words] = insideNodes(place, client.command)
    const began = performance.now()
    const child = execa(file, words, { all: true, reject: false, timeout: 40_000, stdin: 'ignore', cwd: directory })
    let heard = ''
    // Some go on as a daemon does once they have what we wait for.
    child.all.on('data', (data: Buffer) => {
      heard += data.toString()
      if (client.says?.test(heard)) child.kill()
    })
    const { all, exitCode } = await child
    const took = `${((performance.now() - began) / 1000).toFixed(1)} s.`
    const wrong = await whatIsWrong(client, all ?? '', directory)
    if (wrong === undefined) return { ...row, result: 'ok', note: [took, client.note].filter(Boolean).join(' ') }
    const last = (all ?? '').trim().split('\n').slice(-2).join(' ').slice(0, 200)
    return { ...row, result: version === '' ? 'not run' : 'fails', note: `${wrong} (status ${exitCode}): ${last}` }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function whatIsWrong({ says, fetches }: Client, output: string, directory: string): Promise<string | undefined> {
  if (says && !says.test(output)) return 'did not get there'
  if (fetches === undefined) return undefined
  const digest = async (path: string) =>
    createHash('sha256')
      .update(await readFile(path))
      .digest('hex')
  const got = await digest(join(directory, 'fetched')).catch(() => undefined)
  if (got === undefined) return 'fetched nothing'
  return got === (await digest(fetches)) ? undefined : 'fetched other bytes'
}

async function settleAddresses(place: Place, addressed: boolean): Promise<void> {
  const inNodes = (...words: string[]) => run('ip', ['-n', nodesNamespace(place), ...words])
  await inNodes('address', 'flush', 'dev', nodesInterface)
  await settleNodesInterface(place)
  if (addressed) await inNodes('address', 'add', `${own}/16`, 'dev', nodesInterface)
}

export async function versionOf(from: string): Promise<string> {
  if (from.startsWith('npm:')) {
    const file = new URL(`../../node_modules/${from.slice(4)}/package.json`, import.meta.url)
    return (JSON.parse(await readFile(file, 'utf8')) as { version: string }).version
  }
  const shown = await run('dpkg-query', ['-W', from]).catch(() => '')
  return shown.split('\t')[1]?.trim() ?? ''
}
