import { BootloomError } from '../src/config/errors.ts'
import type { OnProgress } from '../src/config/progress.ts'
import { type Firmware, firmwares, type Nic, nics } from '../src/machine/firmware.ts'
import { attachConsole } from './console.ts'
import { runDemo } from './demo.ts'
import { down, requireUp, type Status, status, up } from './lab.ts'
import { type LabNode, type NodeSettings, runningNode, runningNodes, startNode } from './node.ts'
import { type PlaceOptions, placeOf } from './place.ts'
import { becomeRoot } from './root.ts'

/** What `bootloom lab` calls. Each takes plain options; those that need root run themselves through sudo without it. */

export interface LabStatus extends Status {
  readonly nodes: readonly (NodeSettings & { readonly console: string })[]
}

/** Brings the lab up and leaves it up. One that is up already stays as it is. */
export async function labUp(options: PlaceOptions & { readonly onProgress?: OnProgress } = {}): Promise<LabStatus> {
  await becomeRoot()
  const place = placeOf(options)
  if (!(await status(place)).up) await up(place, options.onProgress ? { progress: options.onProgress } : {})
  return labStatus(options)
}

/** Takes the lab down, also what a crashed run left. Its state (packages, bundles) is kept. */
export async function labDown(options: PlaceOptions = {}): Promise<void> {
  await becomeRoot()
  await down(placeOf(options))
}

export async function labStatus(options: PlaceOptions = {}): Promise<LabStatus> {
  const place = placeOf(options)
  const nodes = runningNodes(place).map(({ settings, serial }) => ({ ...settings, console: serial.path }))
  return { ...(await status(place)), nodes }
}

export interface LabNodeOptions extends PlaceOptions {
  readonly index: number
  /** `start` powers on, `reset` presses the reset button, `stop` pulls the plug, `console` connects this terminal. */
  readonly action: 'start' | 'reset' | 'stop' | 'console'
  readonly mac?: string
  /** One of `bios`, `undionly`, `uefi-pxe`, `uefi-http`. */
  readonly firmware?: string
  /** MiB. */
  readonly memory?: number
  /** `virtio-net-pci`, `e1000` or `e1000e`. */
  readonly nic?: string
}

/** Does something with one node of the lab; LAB_NOT_UP when the lab, or for all but `start` the node, is not running. */
export async function labNode(options: LabNodeOptions): Promise<NodeSettings> {
  await becomeRoot()
  const place = placeOf(options)
  await requireUp(place)
  if (options.action === 'start') {
    const { index, mac, memory } = options
    const firmware = oneOf<Firmware>('firmware', firmwares, options.firmware)
    const nic = oneOf<Nic>('NIC', nics, options.nic)
    const given = Object.entries({ mac, memory, firmware, nic }).filter(([, value]) => value !== undefined)
    return (await startNode(place, { index, ...Object.fromEntries(given) })).settings
  }
  const node: LabNode | undefined = runningNode(place, options.index)
  if (!node) throw new BootloomError('LAB_NOT_UP', `node ${options.index} of the lab is not running`)
  if (options.action === 'reset') await node.reset()
  if (options.action === 'stop') await node.stop()
  if (options.action === 'console') await attachConsole(place, options.index)
  return node.settings
}

function oneOf<T extends string>(what: string, known: readonly T[], given: string | undefined): T | undefined {
  if (given === undefined) return undefined
  const found = known.find((one) => one === given)
  if (!found) throw new BootloomError('USAGE', `"${given}" is no ${what}: take one of ${known.join(', ')}`)
  return found
}

export interface LabDemoOptions extends PlaceOptions {
  readonly once?: boolean
  /** Of 127.0.0.1; default 8088. */
  readonly port?: number
}

/** The scenario behind `npm start`. Prints by itself, to standard output. */
export async function labDemo(options: LabDemoOptions = {}): Promise<void> {
  await becomeRoot()
  await runDemo(placeOf(options), { once: options.once ?? false, port: options.port ?? 8088 })
}
