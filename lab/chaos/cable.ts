import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { run } from '../../src/config/command.ts'
import { BootloomError } from '../../src/config/errors.ts'
import { inside } from '../../src/machine/namespace.ts'
import { end } from '../../src/machine/process.ts'
import { network, type Place, paths } from '../place.ts'
import { type Recorded, startDaemon } from '../processes.ts'
import { nodesInterface, nodesNamespace, settleNodesInterface } from '../storm/network.ts'

/** What a cable does to the frames it carries. Percentages, milliseconds, bytes a second. */
export interface CableFaults {
  readonly loss?: number
  readonly duplicate?: number
  readonly reorder?: number
  readonly delay?: number
  readonly jitter?: number
  readonly rate?: number
  /** Milliseconds for which the link is up and down in turn. */
  readonly up?: number
  readonly down?: number
  readonly seed?: number
}

const program = fileURLToPath(new URL('./wire.pl', import.meta.url))
const near = 'wire0'
/** The bridge that virtual machines hang on when they are behind the cable. */
const farBridge = 'br-far'

/** Replaces the simulated nodes' link to the lab's bridge by a bad cable. Both ends have the MTU, where one is given. */
export async function cableToNodes(place: Place, faults: CableFaults, mtu?: number): Promise<Recorded> {
  const nodes = nodesNamespace(place)
  await run('ip', ['-n', nodes, 'link', 'delete', nodesInterface]).catch(() => {})
  const cable = await layCable(place, nodesInterface, faults)
  await run('ip', ['-n', place.name, 'link', 'set', nodesInterface, 'netns', nodes])
  if (mtu !== undefined) {
    await run('ip', ['-n', nodes, 'link', 'set', nodesInterface, 'mtu', String(mtu)])
    for (const name of [near, network.bridge]) {
      await run('ip', ['-n', place.name, 'link', 'set', name, 'mtu', String(mtu)])
    }
  }
  await settleNodesInterface(place)
  return cable
}

/** Lays a bad cable from the lab's bridge to a second one; `plugInto` then moves a node's tap there. */
export async function cableToMachines(place: Place, faults: CableFaults): Promise<Recorded> {
  await run('ip', ['-n', place.name, 'link', 'delete', farBridge]).catch(() => {})
  await run('ip', [
    '-n',
    place.name,
    'link',
    'add',
    farBridge,
    'type',
    'bridge',
    'stp_state',
    '0',
    'forward_delay',
    '0',
  ])
  const cable = await layCable(place, 'wire1', faults)
  await run('ip', ['-n', place.name, 'link', 'set', 'wire1', 'master', farBridge, 'up'])
  await run('ip', ['-n', place.name, 'link', 'set', farBridge, 'up'])
  return cable
}

export const plugBehindCable = (place: Place, index: number) =>
  run('ip', ['-n', place.name, 'link', 'set', `tap${index}`, 'master', farBridge])

/** Ends the cable; its devices go with it. */
export async function removeCable(place: Place, cable: Recorded): Promise<void> {
  await end(cable, 1000)
  await run('ip', ['-n', place.name, 'link', 'set', network.bridge, 'mtu', '1500'])
}

/** Two taps with the program between them: the near one is a port of the lab's bridge. */
async function layCable(place: Place, far: string, faults: CableFaults): Promise<Recorded> {
  const told = Object.entries(faults).map(([name, value]) => `${name}=${value}`)
  const command = inside(place.name, ['perl', program, near, far, ...told])
  const cable = startDaemon(place, { what: 'cable', command })
  for (let waited = 0; !logOf(place).includes('carrying'); waited += 10) {
    if (waited > 5000) {
      throw new BootloomError('LAB_FAILED', 'the cable does not carry', { details: [logOf(place)] })
    }
    await sleep(10)
  }
  await run('ip', ['-n', place.name, 'link', 'set', near, 'master', network.bridge, 'up'])
  return cable
}

function logOf(place: Place): string {
  try {
    return readFileSync(paths.log(place, 'cable'), 'utf8')
  } catch {
    return ''
  }
}
