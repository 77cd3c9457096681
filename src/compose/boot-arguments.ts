import { BootloomError } from '../config/errors.ts'
import type { Digest } from '../store/digest.ts'

interface BootArguments {
  /** Where the node reports to and fetches from, as `http://10.77.0.1:8080`. */
  readonly server: string
  readonly mac: string
  /** Id of this boot. */
  readonly boot: string
  /** The bundle that must have arrived. */
  readonly bundle: Digest
  /** Seconds that the node has to report ready; then it boots anew by itself. */
  readonly deadline: number
}

/**
 * The bundle's part of the kernel command line. No rootfstype=ramfs: tmpfs holds half of RAM, and what does not fit is
 * then refused by init and reported, where ramfs would end in a panic that nobody hears of; a running application that
 * fills the root gets ENOSPC. `quiet`: a serial port at 115200 takes seconds for the messages of a whole boot, and those
 * of a failed unpacking are printed all the same. `panic=10`: a node that cannot even start init tries again.
 * `cryptomgr.notests`: Debian's kernel tests its cryptography at each boot, for a twelfth of the time that it takes to init;
 * with `fips=1` it does so all the same.
 */
export function bundleCommandLine(more: string): string {
  return `console=tty0 console=ttyS0,115200 quiet panic=10 cryptomgr.notests ${more}`.trim()
}

/** What is appended to a bundle's command line for one boot of one node. VALUE_UNFIT when a value is no single word. */
export function bootArguments({ server, mac, boot, bundle, deadline }: BootArguments): string {
  return [
    ['server', server],
    ['mac', mac],
    ['boot', boot],
    ['bundle', bundle],
    ['deadline', String(deadline)],
  ]
    .map(([name, value]) => `bootloom.${name}=${singleWord(name!, value!)}`)
    .join(' ')
}

/** The kernel splits at white space and takes double quotes as quotes (lib/cmdline.c); the rest is ours to keep simple. */
function singleWord(name: string, value: string): string {
  if (/^[A-Za-z0-9._:/[\]-]+$/.test(value)) return value
  throw new BootloomError('VALUE_UNFIT', `'${value.slice(0, 80)}' cannot stand on a kernel command line`, {
    where: `bootloom.${name}`,
  })
}

/** A foreign command line with its places filled in. VALUE_UNFIT when the node has no value for one, or it is no word. */
export function foreignCommandLine(cmdline: string, values: Readonly<Record<string, string | undefined>>): string {
  return cmdline.replace(/\{\{(\w+)\}\}/g, (place, name: string) => {
    const value = values[name]
    if (value !== undefined) return singleWord(name, value)
    throw new BootloomError('VALUE_UNFIT', `the command line wants ${place}, and this node has none`, { where: name })
  })
}
