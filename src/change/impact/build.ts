import { isForeign, parseAnyBlueprint } from '../../blueprint/parse.ts'
import type { Blueprint } from '../../blueprint/schema.ts'
import type { SelectedFile, Selection } from '../../blueprint/selection.ts'
import type { BundleConfig, BundleManifest, ForeignConfig } from '../../compose/bundle-format.ts'
import { modulesOf } from '../../compose/misses.ts'
import type { Component, ComponentRef, Entry } from '../../repository/component.ts'
import { kernelImage, modulesFor } from '../../repository/kernel/kernel.ts'
import { sourceArchive } from '../../repository/kernel/source.ts'
import type { Stack } from '../../repository/stack.ts'
import type { Digest } from '../../store/digest.ts'
import type { Store } from '../../store/store.ts'
import type { Context } from '../context.ts'
import { Chunks } from './chunks.ts'
import { byPathOf, contentOf } from './compare.ts'
import { ImpactIndex, indexPath, type Subject, writeIndex } from './file-index.ts'
import { type Made, madeFiles, sourcesOf } from './made.ts'

/**
 * Brings the index in line with the bundles in use: reads the selections of those that it does not cover, and leaves out
 * what nobody uses any more. `rebuild` reads all of them anew.
 */
export async function buildIndex(
  context: Pick<Context, 'store' | 'directory' | 'log'>,
  bundles: readonly Digest[],
  { rebuild = false, signal }: { readonly rebuild?: boolean; readonly signal?: AbortSignal | undefined } = {},
): Promise<{ readonly subjects: number; readonly read: number }> {
  const path = indexPath(context.directory)
  const before = rebuild ? undefined : await ImpactIndex.open(path)
  try {
    const builder = new Builder(context)
    await builder.takeOver(before, bundles)
    for (const bundle of bundles) {
      signal?.throwIfAborted()
      await builder.add(bundle)
    }
    await writeIndex(path, builder, builder.chunks.all())
    return { subjects: builder.subjects.length, read: builder.read }
  } finally {
    await before?.close()
  }
}

class Builder {
  readonly subjects: Subject[] = []
  readonly bundles: Record<Digest, number> = {}
  readonly chunks = new Chunks()
  /** Selections that had to be read. */
  read = 0
  readonly #context: Pick<Context, 'store' | 'log'>
  readonly #store: Store
  readonly #numbers = new Map<Digest, number>()

  constructor(context: Pick<Context, 'store' | 'log'>) {
    this.#context = context
    this.#store = context.store
  }

  async takeOver(before: ImpactIndex | undefined, wanted: readonly Digest[]): Promise<void> {
    if (before === undefined) return
    const kept = wanted.flatMap((bundle) => {
      const number = before.header.bundles[bundle]
      // What could not be read before may be there now.
      return number === undefined || number < 0 ? [] : [{ bundle, number }]
    })
    const renumbered = new Map<number, number>()
    for (const { bundle, number } of kept) {
      if (!renumbered.has(number)) renumbered.set(number, this.subjects.push(before.header.subjects[number]!) - 1)
      this.bundles[bundle] = renumbered.get(number)!
    }
    for (const [number, { selection }] of this.subjects.entries()) this.#numbers.set(selection, number)
    for await (const chunk of before.chunks()) this.chunks.takeOver(chunk, renumbered)
  }

  async add(bundle: Digest): Promise<void> {
    if (this.bundles[bundle] !== undefined) return
    this.bundles[bundle] = -1
    try {
      const manifest = await this.#store.readJson<BundleManifest>(bundle)
      const config = await this.#store.readJson<BundleConfig | ForeignConfig>(manifest.config.digest)
      if (config.level === 'foreign') return
      this.bundles[bundle] = this.#numbers.get(config.inputs.selection) ?? (await this.#addSubject(config))
    } catch (error) {
      this.#context.log.warn({ event: 'impact-bundle-unread', bundle, reason: (error as Error).message })
    }
  }

  async #addSubject({ blueprint: name, inputs }: BundleConfig): Promise<number> {
    const selection = await this.#store.readJson<Selection>(inputs.selection)
    const stack = await this.#store.readJson<Stack>(inputs.stack)
    const components = new Map<Digest, Component>()
    for (const { digest } of [
      ...stack.components,
      stack.kernel,
      stack.busybox,
      ...selection.parts.map((part) => part.component),
    ]) {
      if (!components.has(digest)) components.set(digest, await this.#component(digest))
    }
    const blueprint = await this.#blueprint(inputs.blueprint)
    const configuration = selection.parts.flatMap(({ component, files }) =>
      component.kind === 'configuration' ? files : [],
    )
    const made = madeFiles(configuration)
    // Only now: nothing of a subject that could not be read stands in the index.
    this.read++
    const number = this.subjects.push(subjectOf(name, inputs.selection, selection, blueprint, made)) - 1
    this.#numbers.set(inputs.selection, number)
    const kept = new Map(selection.parts.map((part) => [part.component.digest, part.files]))
    const refs = new Map(
      [...stack.components, ...selection.parts.map((part) => part.component)].map((ref) => [ref.digest, ref]),
    )
    for (const ref of refs.values())
      this.#addPart(number, ref, components.get(ref.digest)!, kept.get(ref.digest) ?? [], made)
    const busybox = components.get(stack.busybox.digest)!
    const program = busybox.entries.filter(({ path, type }) => type === 'file' && path.endsWith('/bin/busybox'))
    this.chunks.add(number, { ...stack.busybox, component: busybox, files: filesOf(busybox, program, new Map()) })
    const kernel = components.get(stack.kernel.digest)!
    const used = await kernelFiles(kernel, blueprint, this.#store)
    this.chunks.add(number, {
      ...stack.kernel,
      name: 'kernel',
      component: kernel,
      files: filesOf(kernel, used, new Map()),
    })
    return number
  }

  #addPart(number: number, ref: ComponentRef, component: Component, files: readonly SelectedFile[], made: Made): void {
    const sources = component.kind === 'deb' ? sourcesOf(component, made) : new Map<Entry, string>()
    this.chunks.add(number, { ...ref, component, files: filesOf(component, files, sources) })
  }

  #components = new Map<Digest, Component>()

  /** Most stacks share most of their components; not so many are kept that memory runs out. */
  async #component(digest: Digest): Promise<Component> {
    const known = this.#components.get(digest) ?? (await this.#store.readJson<Component>(digest))
    this.#components.delete(digest)
    this.#components.set(digest, known)
    if (this.#components.size > 1000) this.#components.delete(this.#components.keys().next().value!)
    return known
  }

  async #blueprint(digest: Digest): Promise<Blueprint | undefined> {
    try {
      const blueprint = parseAnyBlueprint((await this.#store.read(digest)).toString(), '/blueprint.yaml')
      return isForeign(blueprint) ? undefined : blueprint
    } catch {
      // Of a format that is no more: where its packages came from is not known then.
      return undefined
    }
  }
}

function subjectOf(
  name: string,
  digest: Digest,
  { parts }: Selection,
  blueprint: Blueprint | undefined,
  made: Made,
): Subject {
  const deb = blueprint?.stack.flatMap((source) => ('deb' in source ? [source.deb] : []))[0]
  const trees =
    blueprint?.stack.flatMap((source) => ('tree' in source && !source.tree.trim ? [source.tree.at] : [])) ?? []
  const rules = parts.flatMap(({ files }) => files.flatMap(({ reason }) => (reason.kind === 'rule' ? [reason.by] : [])))
  return {
    blueprint: name,
    selection: digest,
    ...(deb ? { suites: { suite: deb.suite, updates: deb.updates, security: deb.security } } : {}),
    flavour: blueprint?.kernel.flavour ?? 'cloud',
    keep: [...(blueprint?.keep ?? []), ...trees.map((at) => `${at}/**`)],
    drop: blueprint?.drop ?? [],
    rules: [...new Set(rules)].sort(),
    made: made.paths,
  }
}

/** The kernel itself, and the modules in the bundle; of a lean kernel, what it is built from. */
async function kernelFiles(kernel: Component, blueprint: Blueprint | undefined, store: Store): Promise<Entry[]> {
  const source = sourceArchive(kernel)
  if (source) return [source]
  const { digest } = kernelImage(kernel)
  const names = blueprint ? [...blueprint.kernel.modules, ...modulesOf[blueprint.onMiss]] : []
  const modules = new Set((await modulesFor(kernel, store, names)).map(({ path }) => path))
  return kernel.entries.filter((entry) => entry.digest === digest || modules.has(entry.path))
}

function filesOf(component: Component, kept: readonly Entry[], sources: ReadonlyMap<Entry, string>) {
  const entries = byPathOf(component)
  const files = kept.map((entry) => ({ path: entry.path, content: contentOf(entry, entries) }))
  const made = [...sources].map(([entry, makes]) => ({ path: entry.path, content: contentOf(entry, entries), makes }))
  const paths = new Set(files.map(({ path }) => path))
  return [...files, ...made.filter(({ path }) => !paths.has(path))]
}
