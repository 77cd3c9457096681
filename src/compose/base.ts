import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { BootloomError } from '../config/errors.ts'
import type { Component, Entry } from '../repository/component.ts'
import type { Digest } from '../store/digest.ts'
import type { Store } from '../store/store.ts'
import type { DescriptionFile } from './application.ts'
import { readProgram } from './native.ts'
import { parentsOf, plainDirectory, type SegmentPlan } from './plan.ts'

/** All that is ours on a node stands below here, out of the application's way. */
export const ownDirectory = '/.bootloom'

const bootDirectory = fileURLToPath(new URL('../../boot/', import.meta.url))

/**
 * Commands of busybox that the scripts in boot/ use, as links in a directory of their own: whether busybox runs its own
 * applets without them is up to how it was built.
 */
const applets = [
  ...['awk', 'cat', 'chmod', 'chown', 'chroot', 'cp', 'env', 'grep', 'halt', 'head', 'insmod'],
  ...['kill', 'mkdir', 'mount', 'mv', 'poweroff', 'printf', 'reboot', 'rm', 'setsid', 'sh'],
  ...['sleep', 'start-stop-daemon', 'sync', 'tail', 'timeout', 'tr', 'udhcpc', 'usleep', 'wget'],
] as const

/** Everything that has no application in it: init, busybox, the agent, device nodes, mount points. NATIVE_MISSING. */
export async function planBase(busybox: Component, store: Store): Promise<SegmentPlan> {
  const program = busybox.entries.find(({ path, type }) => type === 'file' && /^(\/usr)?\/bin\/busybox$/.test(path))
  if (program?.digest === undefined) throw incomplete(busybox, '/bin/busybox')
  const agent = await readProgram('agent')
  const directories = ['dev', 'proc', 'sys', 'run', 'etc'].map((name) => plainDirectory(`/${name}`))
  const entries: Entry[] = [
    ...directories,
    plainDirectory('/tmp', 0o1777),
    plainDirectory(ownDirectory),
    plainDirectory(`${ownDirectory}/bin`),
    plainDirectory(`${ownDirectory}/boot`),
    device('/dev/console', 0o600, [5, 1]),
    device('/dev/null', 0o666, [1, 3]),
    file(`${ownDirectory}/busybox`, program.digest, program.size, 0o755),
    ...applets.map((name) => link(`${ownDirectory}/bin/${name}`, '../busybox')),
    ...(await bootScripts(store)),
    file(`${ownDirectory}/agent`, await store.write(agent), agent.length, 0o700),
    // What udhcpc calls (boot/native/lease.c).
    link(`${ownDirectory}/lease`, 'agent'),
  ]
  return { name: 'base', version: busybox.version, kind: 'base', mtime: busybox.mtime, entries }
}

const stored = new WeakMap<Store, Promise<Entry[]>>()

/** Read once, as the rest of the running program is. */
function bootScripts(store: Store): Promise<Entry[]> {
  const reading = stored.get(store) ?? readBootScripts(store)
  reading.catch(() => stored.delete(store))
  stored.set(store, reading)
  return reading
}

async function readBootScripts(store: Store): Promise<Entry[]> {
  const found = await readdir(bootDirectory, { withFileTypes: true })
  const names = found.flatMap((entry) => (entry.isFile() ? [entry.name] : [])).sort()
  return Promise.all(
    names.map(async (name) => {
      const content = await readFile(`${bootDirectory}/${name}`)
      const path = name === 'init' ? '/init' : `${ownDirectory}/boot/${name}`
      return file(path, await store.write(content), content.length, 0o755)
    }),
  )
}

/** Kernel modules in the order in which init loads them. */
export function planDrivers(
  kernel: Component,
  modules: readonly { readonly path: string; readonly digest: Digest; readonly size: number }[],
): SegmentPlan {
  const directory = `${ownDirectory}/drivers`
  const entries = modules.map(({ path, digest, size }, i) => {
    const name = `${String(i).padStart(3, '0')}-${path.slice(path.lastIndexOf('/') + 1)}`
    return file(`${directory}/${name}`, digest, size, 0o644)
  })
  return {
    name: 'drivers',
    version: kernel.version,
    kind: 'drivers',
    mtime: kernel.mtime,
    entries: [plainDirectory(ownDirectory), plainDirectory(directory), ...entries],
  }
}

/** Where init has the kernel look for firmware, beside nobody's /lib. */
export function planFirmware(
  kernel: Component,
  files: readonly { readonly name: string; readonly entry: Entry }[],
): SegmentPlan {
  const directory = `${ownDirectory}/firmware`
  const entries = files.map(({ name, entry }) => file(`${directory}/${name}`, entry.digest!, entry.size, 0o644))
  const parents = new Set(entries.flatMap(({ path }) => parentsOf(path)))
  return {
    name: 'firmware',
    version: kernel.version,
    kind: 'firmware',
    mtime: kernel.mtime,
    entries: [...[...parents].map((path) => plainDirectory(path)), ...entries],
  }
}

/** How the application is started, as init reads it. */
export async function planApplication(files: readonly DescriptionFile[], store: Store): Promise<SegmentPlan> {
  const directory = `${ownDirectory}/app`
  const entries = await Promise.all(
    files.map(async ({ name, content }) => {
      const bytes = Buffer.from(content)
      return file(`${directory}/${name}`, await store.write(bytes), bytes.length, 0o600)
    }),
  )
  const parents = [...parentsOf(directory), directory].map((path) => plainDirectory(path))
  return { name: 'application', version: '', kind: 'application', mtime: 0, entries: [...parents, ...entries] }
}

const incomplete = ({ name, version }: Component, path: string): BootloomError =>
  new BootloomError('COMPONENT_INCOMPLETE', `${name} ${version} has no ${path}`)

const file = (path: string, digest: Digest, size: number, mode: number): Entry => ({
  path,
  type: 'file',
  mode,
  uid: 0,
  gid: 0,
  size,
  digest,
})

const link = (path: string, target: string): Entry => ({
  path,
  type: 'symlink',
  mode: 0o777,
  uid: 0,
  gid: 0,
  size: 0,
  target,
})

const device = (path: string, mode: number, numbers: readonly [number, number]): Entry => ({
  path,
  type: 'char',
  mode,
  uid: 0,
  gid: 0,
  size: 0,
  device: numbers,
})
