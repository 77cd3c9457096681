import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { run } from '../../src/config/command.ts'
import { BootloomError } from '../../src/config/errors.ts'
import { isRunning } from '../../src/machine/process.ts'
import { fetchInside } from '../fetch.ts'
import { network, type Place } from '../place.ts'
import { runningAs } from '../processes.ts'
import {
  createNodesNamespace,
  insideNodes,
  nodesNamespace,
  removeNodesNamespace,
  withRoomForNodes,
} from '../storm/network.ts'
import { treesOf } from '../storm/usage.ts'
import type { ThrowPlan, ThrowProgress, ThrowReport } from './throw.ts'

export interface WireFindings extends ThrowReport {
  readonly seconds: number
  readonly alive: boolean
  /** Datagrams that came to a socket of the server, and those that the kernel dropped because it was full. */
  readonly datagrams: { readonly read: number; readonly dropped: number }
  /**
   * Resident set of the server that answers nodes and of what it started, in bytes: after a quarter of the time, at its
   * most, and at the end.
   */
  readonly memory: { readonly early: number; readonly most: number; readonly end: number }
}

/** How far it is; `rss` in bytes. */
export interface WireView {
  readonly rss: number
  readonly sent: ThrowProgress
}

const thrower = fileURLToPath(new URL('./throw.ts', import.meta.url))
const from = Array.from({ length: 64 }, (_, i) => `10.77.200.${i + 1}`)
const httpPort = 8080

/** Throws mutants over the wire at a lab that is up. */
export function fuzzWire(
  place: Place,
  count: number,
  seed: number,
  onView: (view: WireView) => void,
): Promise<WireFindings> {
  return withRoomForNodes(async () => {
    await createNodesNamespace(place)
    try {
      const addresses = from.map((address) => `address add ${address}/32 dev lo scope host`)
      await run('ip', ['-n', nodesNamespace(place), '-batch', '-'], { input: `${addresses.join('\n')}\n` })
      return await throwAt(place, { count, seed, server: network.address, httpPort, from }, onView)
    } finally {
      await removeNodesNamespace(place)
    }
  })
}

async function throwAt(place: Place, plan: ThrowPlan, onView: (view: WireView) => void): Promise<WireFindings> {
  const boot = runningAs(place, 'boot')
  if (!boot) throw new BootloomError('LAB_NOT_UP', `no server answers nodes in the lab ${place.name}`)
  const samples: number[] = []
  let sent: ThrowProgress = { dhcp: 0, tftp: 0, http: 0 }
  const timer = setInterval(() => {
    const rss = residentSet(boot.pid)
    samples.push(rss)
    onView({ rss, sent })
  }, 1000)
  const before = udpOf(boot.pid)
  const [file, ...words] = insideNodes(place, [process.execPath, thrower, JSON.stringify(plan)])
  const began = performance.now()
  const child = spawn(file, words, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  let report: ThrowReport | undefined
  child.on('message', (message: { progress?: ThrowProgress; report?: ThrowReport }) => {
    sent = message.progress ?? sent
    report = message.report ?? report
  })
  try {
    await once(child, 'exit')
    if (!report) throw new BootloomError('LAB_FAILED', 'the process that throws packets ended')
    const seconds = (performance.now() - began) / 1000
    const answers = await fetchInside(place.name, `http://${network.address}:${httpPort}/readyz`, {
      patience: 5000,
    }).then(
      ({ status }) => status === 200,
      () => false,
    )
    const end = residentSet(boot.pid)
    const memory = { early: samples[samples.length >> 2] ?? end, most: Math.max(...samples, end), end }
    const after = udpOf(boot.pid)
    const datagrams = { read: after.read - before.read, dropped: after.dropped - before.dropped }
    return { ...report, seconds, alive: answers && isRunning(boot), datagrams, memory }
  } finally {
    clearInterval(timer)
    if (child.exitCode === null) child.kill('SIGKILL')
  }
}

function residentSet(root: number): number {
  let bytes = 0
  for (const pid of treesOf([root])) {
    try {
      bytes += Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
    } catch {
      // It ended meanwhile.
    }
  }
  return bytes
}

/** The counters of the process's network namespace (RFC 4113). */
function udpOf(pid: number): { read: number; dropped: number } {
  const [names, values] = readFileSync(`/proc/${pid}/net/snmp`, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('Udp:'))
    .map((line) => line.split(' '))
  const value = (name: string) => Number(values?.[names?.indexOf(name) ?? -1] ?? 0)
  return { read: value('InDatagrams'), dropped: value('RcvbufErrors') }
}
