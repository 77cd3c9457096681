import type { Firmware } from './firmware.ts'
import { qmp } from './qmp.ts'
import type { SerialLog } from './serial.ts'

interface QemuOptions {
  /** What the process calls itself. */
  readonly name: string
  /** MiB. */
  readonly memory: number
  /** Arguments for the firmware and the NIC (firmware.ts). */
  readonly firmware: readonly string[]
  /** What QEMU's serial console is connected to: a character device of the id `serial`. */
  readonly console: string
  /** Unix socket of the QEMU Machine Protocol. */
  readonly control: string
  /** Whether it counts the instructions that it runs (`query-replay` tells how many): its clock then goes by them, 2 ns each. */
  readonly counts?: boolean
}

/** A virtual machine's command line. */
export const qemuCommand = ({ name, memory, firmware, console, control, counts }: QemuOptions): string[] => [
  'qemu-system-x86_64',
  ...['-name', name, '-m', String(memory)],
  // Any server has RDRAND; without it a node waits a second for its entropy pool before its first random number.
  ...['-accel', 'tcg', '-cpu', 'qemu64,+rdrand'],
  ...(counts ? ['-icount', 'shift=1'] : []),
  ...['-nodefaults', '-display', 'none', ...firmware],
  ...['-chardev', console, '-serial', 'chardev:serial', '-qmp', `unix:${control},server=on,wait=off`],
]

/**
 * QEMU's NIC ROM asks for two seconds whether somebody wants its command line; any key but Ctrl-B says no. Servers'
 * ROMs do not ask. When the prompt is not seen, it passes by itself.
 */
export async function passPrompt(firmware: Firmware, serial: SerialLog, control: string): Promise<void> {
  if (firmware !== 'bios') return
  const seen = await serial.waitFor('for the iPXE command line', 3000).catch(() => undefined)
  if (!seen) return
  await qmp(control, 'send-key', { keys: [{ type: 'qcode', data: 'spc' }] })
}
