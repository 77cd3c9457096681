import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { firmwareArguments } from '../../machine/firmware.ts'
import { createTap } from '../../machine/namespace.ts'
import { passPrompt, qemuCommand } from '../../machine/qemu.ts'
import { qmp } from '../../machine/qmp.ts'
import { SerialLog } from '../../machine/serial.ts'
import { type Boot, bootsOf } from '../../state/boots.ts'
import { listMisses } from '../../state/misses.ts'
import { updateNode } from '../../state/nodes.ts'
import type { Context } from '../context.ts'
import { askAll } from './asking.ts'
import { type Isolation, startInside } from './isolation.ts'
import { addressOf, type Candidate, type Machine, measureOf, type Shown } from './trial.ts'

interface VirtualOptions {
  /** MiB. */
  readonly ram: number
  /** Milliseconds from power-on to ready. */
  readonly deadline: number
  readonly signal: AbortSignal
}

/** Between two looks at a machine, in milliseconds. */
const look = 50

/** Virtual machines in an isolated network: each boot is one of its own, powered on for it and off after it. */
export function virtualMachine(
  isolation: Isolation,
  { store }: Pick<Context, 'store'>,
  { ram, deadline, signal }: VirtualOptions,
): Machine {
  let count = 0
  const by = `qemu ${ram} MiB`
  return {
    by,
    isAtHand: async () => true,
    async boot(candidate) {
      const index = ++count
      const machine = await powerOn(isolation, index, ram, candidate)
      try {
        const boot = await watch(isolation, machine, deadline, signal)
        if ('failed' in boot) return boot
        const host = addressOf(boot)!
        const { asker } = isolation
        const asked = await askAll(candidate.blueprint, (step, timeout) => asker.ask(step, host, timeout), signal)
        const ended = machine.process.ended() ? ['the machine ended while it was asked'] : []
        const measure = await measureOf(boot, candidate.bundle, asked, by, store)
        const misses = await listMisses(isolation.redis, candidate.blueprint.name)
        const notes = misses.map(({ path, process }) => `${process} asked for ${path} in vain`)
        return { measure, failures: [...asked.failures, ...ended], notes }
      } finally {
        await qmp(machine.control, 'quit').catch(() => {})
      }
    },
  }
}

export interface Powered {
  readonly mac: string
  readonly serial: SerialLog
  readonly control: string
  readonly process: { ended(): boolean }
}

/** Assigns a bundle to a machine of its own and switches it on. */
export async function powerOn(
  { namespace, directory, redis }: Isolation,
  index: number,
  ram: number,
  { blueprint, bundle }: Candidate,
): Promise<Powered> {
  const mac = `52:54:00:be:00:${index.toString(16).padStart(2, '0')}`
  const own = join(directory, `machine-${index}`)
  await mkdir(own)
  const assignment = { blueprint: blueprint.name, bundle }
  await updateNode(redis, mac, () => ({ mac, groups: [], assignment }))
  const tap = await createTap(namespace, index)
  const log = join(own, 'serial.log')
  const control = join(own, 'qmp')
  const firmware = await firmwareArguments('bios', { nic: 'virtio-net-pci', mac, tap, directory: own })
  const words = qemuCommand({
    name: `${namespace}-${index}`,
    memory: ram,
    // A machine that boots anew has failed: its end says so at once.
    firmware: [...firmware, '-no-reboot'],
    console: `file,id=serial,path=${log}`,
    control,
  })
  const process = startInside(namespace, words, join(own, 'qemu.log'))
  const serial = new SerialLog(log)
  void passPrompt('bios', serial, control).catch(() => {})
  return { mac, serial, control, process }
}

/** Until the machine is ready, or it is plain that it will not be. */
export async function watch(
  { redis }: Isolation,
  { mac, serial, process }: Powered,
  deadline: number,
  signal: AbortSignal,
): Promise<Boot | Extract<Shown, { failed: string }>> {
  const lines = () => serial.text().trimEnd().split('\n').slice(-15)
  for (const began = Date.now(); ; await sleep(look)) {
    signal.throwIfAborted()
    const [boot] = await bootsOf(redis, mac, 1)
    if (boot?.outcome === 'ready') return boot
    if (boot?.outcome === 'failed') return { failed: boot.reason ?? 'it failed', lines: boot.lines ?? lines() }
    const panic = /Kernel panic[^\n]*/.exec(serial.text())?.[0]
    if (panic !== undefined) return { failed: panic, lines: lines() }
    if (process.ended()) return { failed: 'the machine ended while it booted', lines: lines() }
    if (Date.now() - began > deadline) return { failed: `not ready within ${deadline / 1000} s`, lines: lines() }
  }
}
