import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../config/command.ts'
import { BootloomError } from '../../config/errors.ts'
import { nearest } from '../../config/nearest.ts'
import { componentsOfDebs, recordDebComponents } from '../../state/components.ts'
import type { Batch } from '../../store/batch.ts'
import type { Digest } from '../../store/digest.ts'
import type { Store } from '../../store/store.ts'
import type { Component, ComponentRef, Entry } from '../component.ts'
import type { RepositoryContext } from '../context.ts'
import { byPath, readDeb } from '../deb/archive.ts'
import { sourcePackageOf } from '../deb/control.ts'
import type { ResolvedPackage } from '../deb/resolve.ts'
import { loadComponent, summaryOf, writeComponent } from '../recorded.ts'

/** What depmod(8) finds by reading the modules; Debian's packages leave it to be made where they are installed. */
const generated = ['modules.dep', 'modules.softdep', 'modules.alias']

/**
 * A linux-image package as a component of kind `kernel`: its image and its modules, with their dependencies, and the
 * configuration that it was built with. `isToRepack`: one that was read without its configuration is read anew.
 */
export async function kernelComponent(
  one: ResolvedPackage,
  context: RepositoryContext,
  signal?: AbortSignal,
  isToRepack = false,
): Promise<ComponentRef> {
  const { store, state } = context
  const release = one.name.replace(/^linux-image-/, '').replace(/-unsigned$/, '')
  const [known] = await componentsOfDebs(state.redis, 'kernel', [one.deb])
  if (known && (await store.has(known)) && !(isToRepack && (await lacksConfig(known, store)))) {
    return { kind: 'kernel', name: release, version: one.version, digest: known }
  }
  const batch = await store.batch()
  try {
    const contents = await readDeb(store.path(one.deb), `${one.name} ${one.version}`, batch, {
      wanted: (path) =>
        [`/boot/vmlinuz-${release}`, configPath(release)].includes(path) || isBelow(path, moduleDirectory(release)),
      signal,
    })
    const source = sourcePackageOf(contents.control)
    const present = new Set(contents.entries.map((entry) => entry.path))
    const made = (await runDepmod(one, release, context, batch, signal)).filter((entry) => !present.has(entry.path))
    const component: Component = {
      kind: 'kernel',
      name: release,
      version: one.version,
      architecture: one.architecture,
      ...(source === undefined ? {} : { sourcePackage: source }),
      mtime: contents.mtime,
      entries: [...contents.entries, ...made].sort(byPath),
    }
    const ref = await writeComponent(component, batch)
    await batch.commit()
    await recordDebComponents(state.redis, 'kernel', [{ deb: one.deb, summary: summaryOf(ref, component) }])
    return ref
  } finally {
    await batch.abandon()
  }
}

const configPath = (release: string): string => `/boot/config-${release}`
const moduleDirectory = (release: string): string => `/usr/lib/modules/${release}`
const isBelow = (path: string, directory: string): boolean => path === directory || path.startsWith(`${directory}/`)

async function runDepmod(
  one: ResolvedPackage,
  release: string,
  context: RepositoryContext,
  batch: Batch,
  signal?: AbortSignal,
): Promise<Entry[]> {
  const directory = await mkdtemp(join(context.store.directory, 'incoming', `${process.pid}-kernel-`))
  try {
    const options = signal === undefined ? {} : { signal }
    await run('dpkg-deb', ['--extract', context.store.path(one.deb), directory], options)
    await run('depmod', ['--basedir', directory, release], options)
    return await Promise.all(
      generated.map(async (name): Promise<Entry> => {
        const bytes = await readFile(join(directory, 'lib', 'modules', release, name))
        const path = `${moduleDirectory(release)}/${name}`
        const digest = await batch.write(bytes)
        return { path, type: 'file', mode: 0o644, uid: 0, gid: 0, size: bytes.length, digest }
      }),
    )
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

const lacksConfig = async (kernel: Digest, store: Store): Promise<boolean> =>
  kernelConfig(await loadComponent({ digest: kernel }, store)) === undefined

/** The configuration that a kernel was built with; undefined of one that was read by a Bootloom that had no use for it. */
export const kernelConfig = (kernel: Component): Entry | undefined =>
  kernel.entries.find(({ path }) => path === configPath(kernel.name))

/** The kernel image of a kernel component. */
export function kernelImage(kernel: Component): Entry & { readonly digest: Digest } {
  const image = kernel.entries.find((entry) => entry.path === `/boot/vmlinuz-${kernel.name}`)
  if (image?.digest === undefined) throw new BootloomError('ARCHIVE_UNSAFE', `the kernel ${kernel.name} has no image`)
  return { ...image, digest: image.digest }
}

export interface KernelModule {
  readonly name: string
  /** As in the kernel component. */
  readonly path: string
  readonly digest: Digest
  /** Bytes. */
  readonly size: number
}

/**
 * The modules named and all that they need, in an order in which each can be inserted: dependencies first, soft
 * dependencies (modprobe.d(5)) where they are modules. What is built into the kernel needs none and is left out.
 */
export async function modulesFor(kernel: Component, store: Store, names: readonly string[]): Promise<KernelModule[]> {
  const index = await moduleIndex(kernel, store)
  const ordered: KernelModule[] = []
  const visited = new Set<string>()
  const visit = (name: string): void => {
    const module = index.modules.get(name)
    if (visited.has(name) || !module) return
    visited.add(name)
    const soft = index.soft.get(name)
    for (const needed of [...(soft?.pre ?? []), ...module.needs]) visit(needed)
    ordered.push({ name, path: module.path, digest: module.digest, size: module.size })
    for (const after of soft?.post ?? []) visit(after)
  }
  for (const wanted of names) {
    const name = moduleName(wanted)
    if (!index.modules.has(name) && !index.builtin.has(name)) throw unknownModule(wanted, kernel, index)
    visit(name)
  }
  return ordered
}

interface ModuleIndex {
  readonly modules: ReadonlyMap<string, { path: string; digest: Digest; size: number; needs: readonly string[] }>
  readonly soft: ReadonlyMap<string, { pre: readonly string[]; post: readonly string[] }>
  readonly builtin: ReadonlySet<string>
}

const indexes = new WeakMap<Component, Promise<ModuleIndex>>()

function moduleIndex(kernel: Component, store: Store): Promise<ModuleIndex> {
  const known = indexes.get(kernel) ?? readIndex(kernel, store)
  indexes.set(kernel, known)
  return known
}

/** A file about the modules of a kernel, as `modules.alias`; nothing where it has none. */
export async function moduleLines(kernel: Component, store: Store, name: string, between = '\n'): Promise<string[]> {
  const path = `${moduleDirectory(kernel.name)}/${name}`
  const digest = kernel.entries.find((entry) => entry.path === path)?.digest
  return digest ? (await store.read(digest)).toString('utf8').split(between).filter(Boolean) : []
}

async function readIndex(kernel: Component, store: Store): Promise<ModuleIndex> {
  const directory = moduleDirectory(kernel.name)
  const entries = new Map(kernel.entries.map((entry) => [entry.path, entry]))
  const lines = (name: string) => moduleLines(kernel, store, name)
  const modules = new Map<string, { path: string; digest: Digest; size: number; needs: readonly string[] }>()
  for (const line of await lines('modules.dep')) {
    const [file = '', needs = ''] = line.split(':')
    const { digest, size = 0 } = entries.get(`${directory}/${file}`) ?? {}
    if (!digest) continue
    const needed = needs.trim() === '' ? [] : needs.trim().split(' ')
    // modules.dep names what must come first last (modules.dep(5)).
    modules.set(moduleName(file), {
      path: `${directory}/${file}`,
      digest,
      size,
      needs: needed.reverse().map(moduleName),
    })
  }
  const soft = new Map<string, { pre: string[]; post: string[] }>()
  for (const line of await lines('modules.softdep')) {
    const [, name, rest = ''] = line.match(/^softdep (\S+) (.*)$/) ?? []
    if (name === undefined) continue
    const found = soft.get(moduleName(name)) ?? { pre: [], post: [] }
    let list = found.pre
    for (const word of rest.split(/\s+/)) {
      if (word === 'pre:') list = found.pre
      else if (word === 'post:') list = found.post
      else if (word !== '') list.push(moduleName(word))
    }
    soft.set(moduleName(name), found)
  }
  return { modules, soft, builtin: new Set((await lines('modules.builtin')).map(moduleName)) }
}

/** `kernel/net/core/failover.ko.zst` and `virtio-net` as the kernel itself names them. */
function moduleName(text: string): string {
  return text
    .replace(/^.*\//, '')
    .replace(/\.ko(\.\w+)?$/, '')
    .replaceAll('-', '_')
}

function unknownModule(wanted: string, kernel: Component, index: ModuleIndex): BootloomError {
  const all = [...index.modules.keys()]
  const near = nearest(moduleName(wanted), all)
  const close = all
    .filter((name) => name === near || (wanted.length > 2 && name.includes(moduleName(wanted))))
    .slice(0, 5)
  return new BootloomError('MODULE_UNKNOWN', `the kernel ${kernel.name} has no module ${wanted}`, {
    ...(close.length > 0 ? { details: [`It has: ${close.join(', ')}`] } : {}),
  })
}
