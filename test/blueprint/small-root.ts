import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Blueprint } from '../../src/blueprint/schema.ts'
import type { Service } from '../../src/blueprint/service.ts'
import { servicesOf } from '../../src/blueprint/services.ts'
import type { Component } from '../../src/repository/component.ts'
import type { Store } from '../../src/store/store.ts'
import { componentOf } from '../compose/stack.ts'

/** A root directory in which busybox's web server can run: a few programs, an account, a site, a link or two. */
export async function smallRoot(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'bootloom-root-'))
  await chmod(root, 0o755)
  for (const path of ['usr/bin', 'etc', 'srv', 'run', 'tmp', 'var']) await mkdir(join(root, path), { recursive: true })
  await copyFile('/bin/busybox', join(root, 'usr/bin/busybox'))
  await chmod(join(root, 'usr/bin/busybox'), 0o755)
  for (const name of ['sh', 'httpd', 'mkdir', 'cat', 'sleep', 'test', 'id', 'env'])
    await symlink('busybox', join(root, 'usr/bin', name))
  await symlink('usr/bin', join(root, 'bin'))
  await symlink('../run', join(root, 'var/run'))
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\nweb:x:990:991::/srv:/bin/sh\n')
  await writeFile(join(root, 'etc/group'), 'root:x:0:\nweb:x:991:\nextra:x:992:web\n')
  await writeFile(join(root, 'srv/index.html'), 'small and real')
  await writeFile(join(root, 'srv/unused.html'), 'never asked for')
  await writeFile(join(root, 'srv/seen-by-command.html'), 'read by a command of the workload')
  await writeFile(join(root, 'usr/bin/start'), startScript, { mode: 0o755 })
  return root
}

/** What a blueprint runs in such a root; `units` are unit files by their name. */
export async function servicesIn(
  root: string,
  blueprint: Blueprint,
  store: Store,
  units: Readonly<Record<string, string>> = {},
): Promise<readonly Service[]> {
  const component = await componentOf(store, 'configuration', 'configuration', '1', {
    '/etc/passwd': await readFile(join(root, 'etc/passwd')),
    '/etc/group': await readFile(join(root, 'etc/group')),
    ...Object.fromEntries(Object.entries(units).map(([name, text]) => [`/etc/systemd/system/${name}`, text])),
  })
  return servicesOf(blueprint, [await store.readJson<Component>(component.digest)], store)
}

/** Makes a file with a stable name and one with its process id, then becomes the web server. */
const startScript = `#!/bin/sh
mkdir -p /var/run/app/sub
echo ready >/run/app/state
echo ready >/run/app/pid-$$
cat /etc/absent 2>/dev/null
exec /usr/bin/httpd -f -p 8099 -h /srv
`

/** Processes whose command line names the directory, and mounts of ours over it: what a run could leave behind. */
export async function leftovers(root: string): Promise<string[]> {
  const found: string[] = []
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const line = await readFile(join('/proc', pid, 'cmdline'), 'utf8').catch(() => '')
    if (line.includes(root) && Number(pid) !== process.pid) found.push(line.replaceAll('\0', ' ').slice(0, 60))
  }
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n')
  return [...found, ...mounts.filter((line) => line.includes(root))]
}
