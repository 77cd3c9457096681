import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeCpio } from '../../src/compose/cpio.ts'
import { run } from '../../src/config/command.ts'

const script = `#!/busybox sh
/busybox mount -t sysfs sysfs /sys
/busybox mount -t devtmpfs devtmpfs /dev
/busybox mount -t proc proc /proc
cd /sys/devices/system/cpu/vulnerabilities
for name in *; do read -r text <$name; echo "vulnerability $name: $text"; done
[ ! -c /dev/watchdog ] || echo 'has a watchdog'
/busybox stat -c 'unpacked as of %Y' /busybox
echo 'said all'
/busybox poweroff -f
`

/** Seconds since 1970: of all that it unpacks. */
export const tinyDate = 1_000_000_000

interface Tiny {
  /** File of the kernel. */
  readonly kernel: string
  /** QEMU's name of a processor. */
  readonly cpu: string
  /** More of the kernel's command line. */
  readonly cmdline?: string
}

/** Boots a kernel with nothing but busybox until the machine ends, by itself or after two minutes; what it printed. */
export async function bootTiny({ kernel, cpu, cmdline = '' }: Tiny): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'tiny-'))
  try {
    const initrd = join(directory, 'initrd')
    const file = { uid: 0, gid: 0, mode: 0o755 }
    const directories = ['/dev', '/proc', '/sys'].map((path) => ({ ...file, path, type: 'dir' as const, size: 0 }))
    const busybox = await readFile('/bin/busybox')
    const init = Buffer.from(script)
    const entries = [
      ...directories,
      { ...file, path: '/dev/console', type: 'char' as const, size: 0, device: [5, 1] as const },
      { ...file, path: '/busybox', type: 'file' as const, size: busybox.length, content: busybox },
      { ...file, path: '/init', type: 'file' as const, size: init.length, content: init },
    ]
    await writeFile(initrd, Buffer.concat(writeCpio(entries, tinyDate)))
    return await run(
      'qemu-system-x86_64',
      [
        ...[
          '-accel',
          'tcg',
          '-cpu',
          cpu,
          '-machine',
          'pc',
          '-m',
          '192',
          '-nodefaults',
          '-display',
          'none',
          '-no-reboot',
        ],
        ...['-serial', 'stdio', '-kernel', kernel, '-initrd', initrd, '-append', `console=ttyS0 ${cmdline}`],
      ],
      { timeout: 120_000 },
    )
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** What a kernel said of each flaw of processors, by its name. */
export const vulnerabilitiesIn = (printed: string): Map<string, string> =>
  new Map([...printed.matchAll(/^vulnerability (\w+): (.*?)\r?$/gm)].map(([, name, text]) => [name!, text!]))
