import { readFileSync, writeFileSync } from 'node:fs'
import { run } from '../../src/config/command.ts'
import { inside, namespaceExists, removeNamespace } from '../../src/machine/namespace.ts'
import { network, type Place } from '../place.ts'

/** What a storm's nodes lease. */
export const stormSubnet = { subnet: network.subnet, range: ['10.77.64.0', '10.77.127.254'] } as const

export const nodesNamespace = (place: Place): string => `${place.name}-nodes`
export const nodesInterface = 'nodes0'
/** The other end, a port of the lab's bridge. */
const uplink = 'storm0'

/** A namespace for the simulated nodes, behind one port of the lab's bridge. */
export async function createNodesNamespace(place: Place): Promise<void> {
  const name = nodesNamespace(place)
  await removeNodesNamespace(place)
  await run('ip', ['netns', 'add', name])
  await run('ip', [
    '-n',
    place.name,
    'link',
    'add',
    uplink,
    'type',
    'veth',
    'peer',
    'name',
    nodesInterface,
    'netns',
    name,
  ])
  await run('ip', ['-n', place.name, 'link', 'set', uplink, 'master', network.bridge, 'up'])
  await settleNodesInterface(place)
}

/** Brings the nodes' interface up and tells it the way to everybody. */
export async function settleNodesInterface(place: Place): Promise<void> {
  await run('ip', ['-n', nodesNamespace(place), '-batch', '-'], {
    input: [
      'link set lo up',
      `link set ${nodesInterface} up`,
      `route replace ${network.subnet} dev ${nodesInterface}`,
      `route replace 255.255.255.255 dev ${nodesInterface}`,
      '',
    ].join('\n'),
  })
}

export async function removeNodesNamespace(place: Place): Promise<void> {
  if (await namespaceExists(nodesNamespace(place))) await removeNamespace(nodesNamespace(place))
}

export const insideNodes = (place: Place, command: readonly string[]) => inside(nodesNamespace(place), command)

const limits = {
  /** Linux remembers 1,024 neighbours, for all namespaces together: too few for a thousand nodes on one segment. */
  ...Object.fromEntries([1, 2, 3].map((n) => [`/proc/sys/net/ipv4/neigh/default/gc_thresh${n}`, 16_384])),
  /** All nodes' replies come to one socket of the simulation, where each real node has its own. */
  '/proc/sys/net/core/rmem_max': 16 * 1024 * 1024,
}

/** Raises the machine's limits that a whole rack on one machine would meet, for the time of the work. */
export async function withRoomForNodes<T>(work: () => Promise<T>): Promise<T> {
  const raised = Object.entries(limits).flatMap(([file, wanted]) => {
    const before = readFileSync(file, 'utf8').trim()
    return Number(before) < wanted ? [{ file, before, wanted }] : []
  })
  for (const { file, wanted } of raised) writeFileSync(file, String(wanted))
  try {
    return await work()
  } finally {
    for (const { file, before } of raised) writeFileSync(file, before)
  }
}
