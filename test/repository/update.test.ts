import { lstat, mkdir, readdir, readFile, readlink, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Component, Entry } from '../../src/repository/component.ts'
import { type Installation, stackDirectory } from '../../src/repository/installation.ts'
import { kernelImage, modulesFor } from '../../src/repository/kernel/kernel.ts'
import { loadComponent } from '../../src/repository/recorded.ts'
import type { DebRequest, SourceRequest } from '../../src/repository/request.ts'
import { ensureInstalled, refreshTrees, type StackUpdate, updateStack } from '../../src/repository/update.ts'
import { listComponents } from '../../src/state/components.ts'
import { buildDeb, temporaryContext } from './deb/built.ts'

/** The smallest stack there is, from the machine's own Debian mirror, installed once for all of these tests. */
let context: Awaited<ReturnType<typeof temporaryContext>>
let update: StackUpdate
let sources: SourceRequest[]
const steps = new Set<string>()
const deb: DebRequest = { suite: 'bookworm', updates: true, security: true, packages: ['netbase'] }
const kernel = { flavour: 'cloud' as const }

beforeAll(async () => {
  context = await temporaryContext()
  const site = join(context.directory, 'site')
  await mkdir(site)
  await writeFile(join(site, 'index.html'), 'Welcome')
  sources = [{ deb }, { tree: { path: site, at: '/var/www/html', owner: '0:0' } }]
  update = await updateStack({ stack: sources, kernel }, context, (event) => steps.add(event.step))
}, 400_000)
afterAll(() => context.close())

const load = (ref: { digest: `sha256:${string}` }): Promise<Component> => loadComponent(ref, context.store)

test('a stack names exact versions: packages by name, then the configuration, then trees', () => {
  const kinds = update.stack.components.map((component) => component.kind)
  expect(kinds.slice(-2)).toEqual(['configuration', 'tree'])
  const packages = update.stack.components.slice(0, -2)
  expect(packages.map((one) => one.name)).toEqual(packages.map((one) => one.name).sort())
  expect(packages.find((one) => one.name === 'netbase')?.version).toMatch(/^\d/)
  expect(packages.map((one) => one.name)).toEqual(expect.arrayContaining(['apt', 'base-files', 'dash', 'libc6']))
  expect(update.stack.busybox.name).toBe('busybox-static')
  expect(update.stack.kernel.name).toMatch(/^6\.1\.0-\d+-cloud-amd64$/)
  for (const step of ['resolve', 'fetch', 'components', 'kernel', 'install', 'attribute']) expect(steps).toContain(step)
})

test('the components laid over each other are the installed root, path by path', async () => {
  const entries = new Map<string, Entry>()
  for (const ref of update.stack.components.filter((component) => component.kind !== 'tree')) {
    for (const entry of (await load(ref)).entries) entries.set(entry.path, entry)
  }
  const wrong: string[] = []
  for (const item of await readdir(update.root, { recursive: true, withFileTypes: true })) {
    const path = join(item.parentPath, item.name).slice(update.root.length)
    if (
      /^\/(dev|run|var\/log|var\/cache\/(apt|ldconfig)|var\/lib\/(apt\/lists|dpkg|dbus))\/|debconf\/.*-old$/.test(path)
    )
      continue
    const found = await lstat(join(update.root, path))
    const entry = entries.get(path)
    const same =
      entry &&
      entry.uid === found.uid &&
      entry.gid === found.gid &&
      (found.isSymbolicLink()
        ? entry.target === (await readlink(join(update.root, path)))
        : entry.mode === (found.mode & 0o7777)) &&
      (entry.type === 'hardlink' || !found.isFile() || entry.size === found.size)
    if (!same) wrong.push(path)
  }
  expect(wrong).toEqual([])
})

test('what belongs to no package is the configuration: accounts and links, and nothing of this machine', async () => {
  const configuration = await load(update.stack.components.at(-2)!)
  const paths = configuration.entries.map((entry) => entry.path)
  for (const path of ['/bin', '/etc/passwd', '/etc/group', '/etc/ld.so.cache', '/usr/bin/awk'])
    expect(paths).toContain(path)
  for (const path of [
    '/etc/hostname',
    '/etc/resolv.conf',
    '/etc/machine-id',
    '/etc/apt/sources.list',
    '/usr/bin/bash',
  ]) {
    expect(paths).not.toContain(path)
  }
  await expect(stat(join(update.root, 'etc/resolv.conf'))).rejects.toThrow()
})

test('modules come in the order in which they can be inserted, each once, built-in ones left out', async () => {
  const component = await load(update.stack.kernel)
  expect(kernelImage(component).size).toBeGreaterThan(5_000_000)
  const names = (await modulesFor(component, context.store, ['virtio_pci', 'virtio-net'])).map((module) => module.name)
  const before = (first: string, second: string) => expect(names.indexOf(first)).toBeLessThan(names.indexOf(second))
  expect([...names].sort()).toEqual([
    'failover',
    'net_failover',
    'virtio',
    'virtio_net',
    'virtio_pci',
    'virtio_pci_legacy_dev',
    'virtio_pci_modern_dev',
    'virtio_ring',
  ])
  for (const name of names) expect(names.filter((other) => other === name)).toHaveLength(1)
  before('virtio_ring', 'virtio_pci')
  before('virtio', 'virtio_pci')
  before('failover', 'net_failover')
  before('net_failover', 'virtio_net')
  expect(await modulesFor(component, context.store, ['unix'])).toEqual([])
  await expect(modulesFor(component, context.store, ['virtio_nett'])).rejects.toMatchObject({
    code: 'MODULE_UNKNOWN',
    details: [expect.stringContaining('virtio_net')],
  })
})

test('a changed file of a tree gives a new stack in milliseconds, with the same packages and root', async () => {
  await writeFile(join(context.directory, 'site', 'index.html'), 'Changed')
  const started = performance.now()
  const next = await refreshTrees(update.digest, sources, context)
  expect(performance.now() - started).toBeLessThan(1000)
  expect(next.changed.map((change) => change.name)).toEqual(['/var/www/html'])
  expect(next.stack.components.slice(0, -1)).toEqual(update.stack.components.slice(0, -1))
  await writeFile(join(context.directory, 'site', 'index.html'), 'Welcome')
  expect((await refreshTrees(next.digest, sources, context)).digest).toBe(update.digest)
})

test('an update without news changes nothing and installs nothing', async () => {
  const again = new Set<string>()
  const same = await updateStack({ stack: sources, kernel, previous: update.digest }, context, (e) => again.add(e.step))
  expect(same).toEqual({ ...update, changed: [] })
  for (const step of ['fetch', 'components', 'install']) expect(again).not.toContain(step)
  expect(await ensureInstalled(same.stack, context, () => {})).toBe(update.root)
}, 60_000)

test('a stack that begins like another goes on from it, and comes to the same root as from nothing', async () => {
  // An account, alternatives and a library: what maintainer scripts write depends on what was there before.
  const more = ['netbase', 'uuid-runtime', 'netcat-openbsd', 'libonig5']
  const before = await readdir(join(context.directory, 'stacks'))
  const told: string[] = []
  const wider = await updateStack({ stack: [{ deb: { ...deb, packages: more } }], kernel }, context, (event) => {
    if (event.step === 'install') told.push(event.detail ?? '')
  })
  const { steps } = await context.store.readJson<Installation>(wider.stack.installation)
  expect(steps!.slice(1).map((step) => more.filter((name) => step.includes(name)))).toEqual(more.map((name) => [name]))
  // Of what the first stack has, nothing is installed again.
  expect(told).not.toContain('setting up netbase')
  expect(told).toContain('setting up uuid-runtime')
  // What no step touched is one file that both roots have.
  expect((await lstat(join(wider.root, 'usr/bin/dpkg'))).nlink).toBeGreaterThan(1)

  const stacks = join(context.directory, 'stacks')
  for (const name of await readdir(stacks)) await rename(join(stacks, name), join(context.directory, `away-${name}`))
  await ensureInstalled(wider.stack, context, () => {})
  const configurationIn = (root: string) => readFile(join(root, '..', 'configuration'), 'utf8')
  expect(await configurationIn(wider.root)).toBe(wider.stack.components.at(-1)!.digest)
  for (const name of before) {
    await rm(join(stacks, name), { recursive: true, force: true })
    await rename(join(context.directory, `away-${name}`), join(stacks, name))
  }
}, 300_000)

test('every component is listed, with what it weighs', async () => {
  const list = await listComponents(context.state.redis)
  const libc = list.find((one) => one.name === 'libc6')
  expect(libc?.files).toBeGreaterThan(100)
  expect(libc?.bytes).toBeGreaterThan(5_000_000)
  expect(new Set(list.map((one) => one.kind))).toEqual(new Set(['deb', 'kernel', 'configuration', 'tree']))
})

test.each([
  ['a package that is not there', { packages: ['netbase', 'no-such-package'] }, 'PACKAGE_UNKNOWN', 'no-such-package'],
  ['a version that is not there', { packages: ['netbase=0.1'] }, 'PACKAGE_UNKNOWN', 'netbase=0.1'],
  ['a name that apt would take as a wish to remove', { packages: ['netbase-'] }, 'PACKAGE_UNKNOWN', 'netbase-'],
  ['a suite that no source offers', { suite: 'bookwurm' }, 'SUITE_UNAVAILABLE', undefined],
] as const)(
  '%s is told by name',
  async (_what, part, code, where) => {
    const wrong = { stack: [{ deb: { ...deb, ...part } }], kernel }
    await expect(updateStack(wrong, context, () => {})).rejects.toMatchObject({ code, where })
  },
  60_000,
)

test('sources that do not make one system are refused', async () => {
  const two = [{ deb }, { deb: { ...deb, security: false } }]
  await expect(updateStack({ stack: two, kernel }, context, () => {})).rejects.toMatchObject({ code: 'STACK_INVALID' })
  await expect(updateStack({ stack: [], kernel }, context, () => {})).rejects.toMatchObject({ code: 'STACK_INVALID' })
})

test('a package whose maintainer script fails is named, with what it said, and no root is left that looks whole', async () => {
  const { store, directory } = context
  const installation = await store.readJson<Installation>(update.stack.installation)
  const postinst = '#!/bin/sh\necho "cannot find the moon" >&2\nexit 3\n'
  const deb = await buildDeb(directory, { Package: 'failing', Version: '1' }, async () => {}, { postinst })
  const bytes = await readFile(deb)
  const failing = { ...installation.packages[0]!, name: 'failing', version: '1', deb: await store.write(bytes) }
  const broken = await store.writeJson({
    ...installation,
    packages: [...installation.packages, failing],
    steps: [...installation.steps!, ['failing']],
  })
  const packages = update.stack.components.filter(({ kind }) => kind === 'deb')
  await expect(
    ensureInstalled({ ...update.stack, installation: broken, components: packages }, context, () => {}),
  ).rejects.toMatchObject({
    code: 'PACKAGE_INSTALL_FAILED',
    message: 'failing could not be installed',
    details: expect.arrayContaining(['cannot find the moon']),
  })
  await expect(stat(join(stackDirectory(directory, broken), 'root'))).rejects.toMatchObject({ code: 'ENOENT' })
  expect(await ensureInstalled(update.stack, context, () => {})).toBe(update.root)
}, 120_000)
