import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { programPath } from '../../src/compose/native.ts'
import { createNamespace, inside, removeNamespace } from '../../src/machine/namespace.ts'
import { network } from '../place.ts'
import { becomeRoot } from '../root.ts'
import { median, report, rounded, timesLess } from './report.ts'

/**
 * TFTP against dnsmasq and atftpd, transfer by transfer in turn, medians. One client at once is curl in lock-step; for
 * windows, and for 64 at once, it is tftp-client.c. All of it on one address of a network namespace. What a round trip
 * takes there is mostly what the scheduler makes of it, and that drifts: short transfers side by side, and many, tell
 * more than a few long ones.
 */
const rounds = Number(process.argv[2] ?? 7)
/** Transfers of one client in a round: they are short; of the one that stands closest to its bar, more. */
const transfers = { one: 3, close: 8 }
const namespace = `tftp-bench-${process.pid}`
const { address } = network
/** Bytes. */
const sizes = { one: 20_000_000, many: 4_000_000 }

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url))

await becomeRoot()
const directory = await mkdtemp(join(tmpdir(), 'tftp-bench-'))
const files = { one: join(directory, 'one'), many: join(directory, 'many') }
for (const [name, size] of Object.entries(sizes))
  await writeFile(join(directory, name), randomBytes(size), { mode: 0o644 })
const children: ChildProcess[] = []
const servers = {
  ours: { port: 7001, command: [process.execPath, here('tftp-server.ts'), address, '7001', files.one, files.many] },
  dnsmasq: {
    port: 69,
    command: [
      ...['dnsmasq', '--no-daemon', '--conf-file=/dev/null', '--port=0', '--user=root', '--log-facility=/dev/null'],
      ...[`--listen-address=${address}`, '--bind-interfaces', '--enable-tftp', `--tftp-root=${directory}`],
      '--tftp-max=300',
    ],
  },
  atftpd: {
    port: 7003,
    command: [
      ...['atftpd', '--daemon', '--no-fork', '--port', '7003', '--bind-address', address, '--maxthread', '300'],
      ...['--verbose=0', '--user', 'root', '--group', 'root', directory],
    ],
  },
} as const
type Server = keyof typeof servers

const run = async (words: readonly string[]) => {
  const [file, ...rest] = inside(namespace, words)
  return (await execa(file, rest, { timeout: 90_000 })).stdout
}

async function byCurl(server: Server): Promise<number> {
  const url = `tftp://${address}:${servers[server].port}/one`
  const words = [
    'curl',
    '-sS',
    '--tftp-blksize',
    '1428',
    '-o',
    '/dev/null',
    '-w',
    '%{time_total} %{size_download}',
    url,
  ]
  const [seconds, bytes] = (await run(words)).split(' ').map(Number)
  if (bytes !== sizes.one) throw new Error(`${bytes} bytes came from ${server}`)
  return seconds!
}

const byClient =
  (file: 'one' | 'many', blockSize: number, window: number, clients: number) => async (server: Server) => {
    const { port } = servers[server]
    const words = [address, port, file, blockSize, window, clients, sizes[file]].map(String)
    return Number(await run([programPath('tftp-client'), ...words]))
  }

const work = {
  lockStep: { servers: ['ours', 'dnsmasq'], fetch: byCurl },
  leanLockStep: { servers: ['ours', 'dnsmasq', 'atftpd'], fetch: byClient('one', 1428, 1, 1) },
  window8: { servers: ['ours', 'atftpd'], fetch: byClient('one', 1428, 8, 1) },
  many: { servers: ['ours', 'dnsmasq', 'atftpd'], fetch: byClient('many', 1428, 1, 64) },
  // As OVMF asks; dnsmasq knows no windows and goes on in lock-step.
  manyAsOvmf: { servers: ['ours', 'dnsmasq', 'atftpd'], fetch: byClient('many', 1468, 4, 64) },
} as const

try {
  await createNamespace(namespace)
  for (const { command } of Object.values(servers)) {
    const [file, ...rest] = inside(namespace, command)
    children.push(spawn(file, rest, { stdio: 'ignore' }))
  }
  await new Promise((resolve) => setTimeout(resolve, 1500))
  const took = new Map<string, number[]>()
  // The first round warms up caches and compilers, and does not count.
  for (let round = 0; round <= rounds; round++) {
    console.error(round === 0 ? '  warming up' : `  round ${round} of ${rounds}`)
    for (const [name, { servers: among, fetch }] of Object.entries(work)) {
      const times = name.startsWith('many') ? 1 : name === 'lockStep' ? transfers.close : transfers.one
      // They take turns at being the first.
      const turns = Array.from({ length: times }, (_, turn) => (turn % 2 === 0 ? among : among.toReversed()))
      for (const server of turns.flat()) {
        const seconds = await fetch(server)
        if (round > 0) took.set(`${name} ${server}`, [...(took.get(`${name} ${server}`) ?? []), seconds])
      }
    }
  }
  const of = (name: keyof typeof work, server: Server) => median(took.get(`${name} ${server}`)!)
  for (const [name, values] of took) console.error(`  ${name}: ${values.map((value) => value.toFixed(3)).join(' ')}`)
  const better = (name: 'many' | 'manyAsOvmf') => Math.min(of(name, 'dnsmasq'), of(name, 'atftpd'))
  const dnsmasq = of('leanLockStep', 'dnsmasq')
  // What the machine does meanwhile meets both sides of a pair.
  const [ours, theirs] = [took.get('lockStep ours')!, took.get('lockStep dnsmasq')!]
  const ratio = median(ours.map((seconds, pair) => theirs[pair]! / seconds))
  const lockStep = timesLess('20 MB, curl, 1428, lock-step, against dnsmasq', 's', median(ours), median(theirs), 1)
  report('tftp', [
    { ...lockStep, ratio: rounded(ratio), holds: ratio >= 1 },
    timesLess('20 MB, windowsize 8, against dnsmasq, which has none', 's', of('window8', 'ours'), dnsmasq, 4),
    timesLess('20 MB, windowsize 8, against atftpd', 's', of('window8', 'ours'), of('window8', 'atftpd'), 1),
    timesLess('64 × 4 MB, lock-step, against the better', 's', of('many', 'ours'), better('many'), 1.2),
    timesLess('64 × 4 MB, as OVMF asks, against the better', 's', of('manyAsOvmf', 'ours'), better('manyAsOvmf'), 1.2),
  ])
} finally {
  for (const child of children) child.kill()
  await removeNamespace(namespace)
  await rm(directory, { recursive: true, force: true })
}
