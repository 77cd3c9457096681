import { access } from 'node:fs/promises'
import { run } from '../config/command.ts'
import { endPid } from './process.ts'

/**
 * A network of virtual machines: a namespace with one bridge, on which the server has an address and each node a tap.
 * Nothing leads out of it, so every one of them has the same addresses.
 */
export const network = {
  bridge: 'br0',
  address: '10.77.0.1',
  prefix: 16,
  subnet: '10.77.0.0/16',
  range: ['10.77.0.100', '10.77.0.199'],
} as const

/** A command as it is run inside the namespace; `ip` becomes the command, so its process id is the command's. */
export const inside = (namespace: string, command: readonly string[]): [string, ...string[]] => [
  'ip',
  'netns',
  'exec',
  namespace,
  ...command,
]

export async function namespaceExists(namespace: string): Promise<boolean> {
  return access(`/run/netns/${namespace}`).then(
    () => true,
    () => false,
  )
}

export async function createNamespace(namespace: string): Promise<void> {
  const { bridge, address, prefix } = network
  await run('ip', ['netns', 'add', namespace])
  // Batch mode: one process instead of six. No spanning tree and no delay, or a node's first packets are lost.
  await run('ip', ['-n', namespace, '-batch', '-'], {
    input: [
      'link set lo up',
      `link add ${bridge} type bridge stp_state 0 forward_delay 0`,
      `address add ${address}/${prefix} dev ${bridge}`,
      `link set ${bridge} up`,
      '',
    ].join('\n'),
  })
  // What sends router advertisements must forward (RFC 4861 §6.2.2; radvd warns otherwise).
  const [file, ...args] = inside(namespace, ['sh', '-c', 'echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'])
  await run(file, args).catch(() => {})
}

const tapOf = (index: number): string => `tap${index}`

/** A fresh tap on the bridge; one that a node left behind is replaced. */
export async function createTap(namespace: string, index: number): Promise<string> {
  const tap = tapOf(index)
  await run('ip', ['-n', namespace, 'link', 'delete', tap]).catch(() => {})
  await run('ip', ['-n', namespace, 'tuntap', 'add', tap, 'mode', 'tap'])
  await run('ip', ['-n', namespace, 'link', 'set', tap, 'master', network.bridge, 'up'])
  return tap
}

/**
 * Ends whatever still runs inside (nobody else has a reason to be there) and removes the namespace with all its links.
 * `patience` in milliseconds: what has not ended by then is killed.
 */
export async function removeNamespace(namespace: string, patience = 2000): Promise<void> {
  if (!(await namespaceExists(namespace))) return
  const pids = (await run('ip', ['netns', 'pids', namespace]).catch(() => '')).split('\n').map(Number)
  await Promise.all(pids.filter((pid) => pid > 1 && pid !== process.pid).map((pid) => endPid(pid, patience)))
  await run('ip', ['netns', 'delete', namespace])
}
