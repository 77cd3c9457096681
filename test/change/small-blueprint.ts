import { cp, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { applyBlueprint, wovenBlueprint } from '../../src/change/applied.ts'
import type { Context } from '../../src/change/context.ts'
import { observeBlueprint } from '../../src/change/observe.ts'
import { sourcesOf } from '../../src/change/work.ts'
import type { ComponentRef } from '../../src/repository/component.ts'
import { stackDirectory } from '../../src/repository/installation.ts'
import { refreshTrees } from '../../src/repository/update.ts'
import { updateBlueprint } from '../../src/state/blueprints.ts'
import { smallRoot } from '../blueprint/small-root.ts'
import { componentOf, stackOf, type Tree } from '../compose/stack.ts'

const release = '6.1.0-1-cloud-amd64'
export const sitePort = 8099

/** How the site is served; it stands in the site, so that an edit of it may break that. */
export const starting = `exec /usr/bin/httpd -f -p ${sitePort} -h /srv\n`

/** A kernel of a few bytes, for bundles that are never booted. */
const paperKernel = ({ store }: Context): Promise<ComponentRef> =>
  componentOf(store, 'kernel', release, '6.1.1-1', {
    [`/boot/vmlinuz-${release}`]: 'kernel',
    [`/usr/lib/modules/${release}/modules.builtin`]: 'virtio_pci\nvirtio_net\n',
  })

/** As `work`, for whoever has nothing to tell and nothing to break off. */
export const workOf = (context: Context) => ({ context, progress: () => {}, signal: new AbortController().signal })

/**
 * A blueprint of busybox's web server and a site, with a stack by hand and an installed root as installing would have
 * left it: observed for real, and ready to be woven, in a second. Returns the directory of the site.
 */
export async function smallBlueprint(
  context: Context,
  name: string,
  { policy = '', kernel }: { policy?: string; kernel?: ComponentRef } = {},
): Promise<string> {
  const { store, directory } = context
  const site = await mkdtemp(join(directory, `${name}-`))
  await writeFile(join(site, 'index.html'), `first of ${name}`)
  await writeFile(join(site, 'start.sh'), starting)
  const root = await smallRoot()
  const files = await treeOf(root)
  const accounts = Object.fromEntries(Object.entries(files).filter(([path]) => path.startsWith('/etc')))
  const others = Object.fromEntries(Object.entries(files).filter(([path]) => !(path in accounts)))
  const small = await componentOf(store, 'deb', 'small', '1', others, { '/usr/bin/start': 0o755 })
  const configuration = await componentOf(store, 'configuration', 'configuration', '1', accounts)
  const installation = await store.writeJson({ format: 1, packages: [], root: small.digest })
  const place = stackDirectory(directory, installation)
  await mkdir(place, { recursive: true })
  await cp(root, join(place, 'root'), { recursive: true, verbatimSymlinks: true })
  await writeFile(join(place, 'configuration'), configuration.digest)
  await rm(root, { recursive: true, force: true })
  const program = await readFile('/bin/busybox')
  const busybox = await componentOf(store, 'deb', 'busybox-static', '1', { '/bin/busybox': program })
  const stack = stackOf([small, configuration], kernel ?? (await paperKernel(context)), busybox)
  const yaml = [
    `name: ${name}`,
    'stack:',
    '  - deb: { packages: [busybox-static] }',
    `  - tree: { path: ${site}, at: /srv }`,
    'start: { command: [/usr/bin/busybox, sh, /srv/start.sh] }',
    `probe: { http: /index.html, port: ${sitePort} }`,
    policy,
  ].join('\n')
  await applyBlueprint(context, { yaml, directory })
  const applied = await wovenBlueprint(context, name)
  const bare = await store.writeJson({ ...stack, installation })
  const { digest } = await refreshTrees(bare, applied.blueprint.stack, context)
  const stackSources = sourcesOf(applied)
  await updateBlueprint(context.state.redis, name, (current) => ({ ...current!, stackDigest: digest, stackSources }))
  await observeBlueprint(name, {}, workOf(context))
  return site
}

/** A directory as a component has it. */
async function treeOf(root: string): Promise<Tree> {
  const found: Record<string, Tree[string]> = {}
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const inside = path.slice(root.length)
    if (entry.isSymbolicLink()) found[inside] = { to: await readlink(path) }
    else if (entry.isDirectory()) found[inside] = null
    else if ((await stat(path)).isFile()) found[inside] = await readFile(path)
  }
  return found
}
