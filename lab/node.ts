import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { BootloomError } from '../src/config/errors.ts'
import { type Firmware, firmwareArguments, type Nic } from '../src/machine/firmware.ts'
import { createTap, inside } from '../src/machine/namespace.ts'
import { end, isRunning } from '../src/machine/process.ts'
import { passPrompt, qemuCommand } from '../src/machine/qemu.ts'
import { qmp } from '../src/machine/qmp.ts'
import { SerialLog } from '../src/machine/serial.ts'
import { type Place, paths } from './place.ts'
import { forget, type Recorded, runningAs, startDaemon, untilReady } from './processes.ts'

export interface NodeOptions {
  /** 1 to 99: names its tap and directory. */
  readonly index: number
  /** Default 52:54:00:aa:00:NN, from the index. */
  readonly mac?: string
  /** Default `bios`. */
  readonly firmware?: Firmware
  /** MiB; default 256 for BIOS, 512 for UEFI. */
  readonly memory?: number
  /** Default `virtio-net-pci`. */
  readonly nic?: Nic
  /** Whether it counts the instructions that it runs; default no. */
  readonly counts?: boolean
}

export interface NodeSettings extends Required<Omit<NodeOptions, 'counts'>> {}

export const macOf = (index: number): string => `52:54:00:aa:00:${index.toString(16).padStart(2, '0')}`

function settle(options: NodeOptions): NodeSettings {
  const { index, firmware = 'bios' } = options
  if (!Number.isInteger(index) || index < 1 || index > 99) {
    throw new BootloomError('USAGE', `${index} is no number of a node: take 1 to 99`)
  }
  const mac = (options.mac ?? macOf(index)).toLowerCase()
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(mac)) throw new BootloomError('USAGE', `"${mac}" is no MAC address`)
  const memory = options.memory ?? (firmware.startsWith('uefi') ? 512 : 256)
  return { index, firmware, mac, memory, nic: options.nic ?? 'virtio-net-pci' }
}

const processOf = (index: number) => `node-${index}`
export const consoleSocketOf = (place: Place, index: number) => join(paths.node(place, index), 'serial.sock')
export const consoleLogOf = (place: Place, index: number) => join(paths.node(place, index), 'serial.log')
const qmpSocketOf = (place: Place, index: number) => join(paths.node(place, index), 'qmp.sock')

/** A virtual machine of the lab: powered on, watched on its serial console, reset, powered off. */
export class LabNode {
  readonly settings: NodeSettings
  readonly serial: SerialLog
  readonly #place: Place
  readonly #process: Recorded

  constructor(place: Place, settings: NodeSettings, process: Recorded) {
    this.#place = place
    this.settings = settings
    this.#process = process
    this.serial = new SerialLog(consoleLogOf(place, settings.index))
  }

  get running(): boolean {
    return isRunning(this.#process)
  }

  /** Instructions that its processor ran so far; of a node that counts them. */
  async instructions(): Promise<number> {
    const { icount } = (await qmp(qmpSocketOf(this.#place, this.settings.index), 'query-replay')) as { icount: number }
    return icount
  }

  /** As pressing its reset button; `serial` then counts from here. */
  async reset(): Promise<void> {
    this.serial.mark()
    await qmp(qmpSocketOf(this.#place, this.settings.index), 'system_reset')
    await this.passPrompt()
  }

  async passPrompt(): Promise<void> {
    await passPrompt(this.settings.firmware, this.serial, qmpSocketOf(this.#place, this.settings.index))
  }

  /** As pulling its plug. The log of its console stays. */
  async stop(): Promise<void> {
    await end(this.#process, 3000)
    forget(this.#place, this.#process.what)
  }
}

/** Powers a node on; returns once its firmware runs. One that already runs under this number is refused: USAGE. */
export async function startNode(place: Place, options: NodeOptions): Promise<LabNode> {
  const settings = settle(options)
  const what = processOf(settings.index)
  if (runningAs(place, what)) {
    throw new BootloomError('USAGE', `node ${settings.index} of the lab already runs`, {
      hint: `Power it off first: bootloom lab node ${settings.index} --stop`,
    })
  }
  const directory = paths.node(place, settings.index)
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true })
  const tap = await createTap(place.name, settings.index)
  const firmware = await firmwareArguments(settings.firmware, { ...settings, tap, directory })
  await writeFile(join(directory, 'node.json'), JSON.stringify(settings))
  const log = consoleLogOf(place, settings.index)
  const process = startDaemon(place, {
    what,
    command: inside(
      place.name,
      qemuCommand({
        name: `${place.name}-${settings.index}`,
        memory: settings.memory,
        firmware,
        console: `socket,id=serial,path=${consoleSocketOf(place, settings.index)},server=on,wait=off,logfile=${log}`,
        control: qmpSocketOf(place, settings.index),
        counts: options.counts ?? false,
      }),
    ),
  })
  await untilReady(place, {
    process,
    named: `the virtual machine of node ${settings.index}`,
    timeout: 15_000,
    isReady: async () =>
      isRunning(process) &&
      existsSync(qmpSocketOf(place, settings.index)) &&
      (await qmp(qmpSocketOf(place, settings.index), 'query-status').then(
        () => true,
        () => false,
      )),
  })
  const node = new LabNode(place, settings, process)
  await node.passPrompt()
  return node
}

/** The node of this number if it runs. */
export function runningNode(place: Place, index: number): LabNode | undefined {
  const process = runningAs(place, processOf(index))
  if (!process) return undefined
  const text = readFileSync(join(paths.node(place, index), 'node.json'), 'utf8')
  return new LabNode(place, JSON.parse(text) as NodeSettings, process)
}

export function runningNodes(place: Place): LabNode[] {
  const directory = dirname(paths.node(place, 1))
  if (!existsSync(directory)) return []
  return readdirSync(directory)
    .map(Number)
    .sort((a, b) => a - b)
    .flatMap((index) => runningNode(place, index) ?? [])
}
