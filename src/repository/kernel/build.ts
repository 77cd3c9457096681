import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { OnProgress } from '../../config/progress.ts'
import { recordComponent } from '../../state/components.ts'
import { type BuiltKernel, getBuiltKernel, putBuiltKernel } from '../../state/kernels.ts'
import { canonicalJson, digestOf, hexOf } from '../../store/digest.ts'
import type { Component, ComponentRef, Entry } from '../component.ts'
import type { RepositoryContext } from '../context.ts'
import { summaryOf, writeComponent } from '../recorded.ts'
import { configText, type KernelOptions, refuseDropped } from './config.ts'
import { compilerOf } from './tools.ts'
import { inKernelTree, type KernelTree, make } from './tree.ts'

interface LeanRequest {
  /** A linux-source package (source.ts). */
  readonly source: ComponentRef
  readonly options: KernelOptions
}

/** Of the procedure: raised whenever the same inputs would give another kernel. */
const format = 1

/**
 * A kernel with these options and nothing else, all of it built in: that which was built before of the same source,
 * options and compiler, or built now, which takes minutes. KERNEL_OPTION_DROPPED, KERNEL_TOOLS_MISSING,
 * KERNEL_BUILD_FAILED.
 */
export async function leanKernel(
  { source, options }: LeanRequest,
  context: RepositoryContext,
  progress: OnProgress,
  signal?: AbortSignal,
): Promise<{ readonly ref: ComponentRef; readonly built: BuiltKernel }> {
  const compiler = await compilerOf(signal)
  const wanted = [...options].map(([option, { value }]) => [option, value])
  const key = hexOf(digestOf(canonicalJson({ format, source: source.digest, options: wanted, compiler })))
  return builtOnce(key, source, context, progress, signal, (tree) => build(tree, key, options, progress, signal))
}

export interface Built {
  readonly kind: BuiltKernel['kind']
  readonly release: string
  readonly image: Buffer
  readonly config: Buffer
  readonly fragments: readonly string[]
}

/** The kernel of that key, built when there is none, and recorded as a component. */
export async function builtOnce(
  key: string,
  source: ComponentRef,
  context: RepositoryContext,
  progress: OnProgress,
  signal: AbortSignal | undefined,
  building: (tree: KernelTree) => Promise<Built>,
): Promise<{ readonly ref: ComponentRef; readonly built: BuiltKernel }> {
  const known = async () => {
    const built = await getBuiltKernel(context.state.redis, key)
    if (!built || !(await context.store.has(built.component))) return undefined
    return { ref: refOf(built), built }
  }
  return (
    (await known()) ??
    inKernelTree(
      source,
      context,
      progress,
      async (tree) => {
        const meanwhile = await known()
        if (meanwhile) return meanwhile
        const began = performance.now()
        const { kind, release, image, config, fragments } = await building(tree)
        const component = await componentOf(tree, release, { vmlinuz: image, config }, context)
        const ref = await writeComponent(component, context.store)
        const built: BuiltKernel = {
          ...{ key, component: ref.digest, release, version: tree.source.version, kind, fragments },
          ...{ bytes: image.length, seconds: (performance.now() - began) / 1000, at: Date.now() },
        }
        await recordComponent(context.state.redis, summaryOf(ref, component))
        await putBuiltKernel(context.state.redis, built)
        context.log.info({ event: 'kernel-built', kernel: release, bytes: built.bytes, seconds: built.seconds })
        return { ref, built }
      },
      signal,
    )
  )
}

const refOf = ({ component, release, version }: BuiltKernel): ComponentRef => ({
  kind: 'kernel',
  name: release,
  version,
  digest: component,
})

async function componentOf(
  { source, mtime }: KernelTree,
  release: string,
  files: Readonly<Record<string, Buffer>>,
  { store }: RepositoryContext,
): Promise<Component> {
  const entries = Object.entries(files).map(async ([name, bytes]): Promise<Entry> => {
    const digest = await store.write(bytes)
    return {
      ...{ path: `/boot/${name}-${release}`, type: 'file', mode: 0o644, uid: 0, gid: 0, size: bytes.length, digest },
    }
  })
  return {
    kind: 'kernel',
    name: release,
    version: source.version,
    architecture: 'amd64',
    sourcePackage: { name: 'linux', version: source.version },
    mtime,
    entries: (await Promise.all(entries)).sort((a, b) => (a.path < b.path ? -1 : 1)),
  }
}

async function build(
  tree: KernelTree,
  key: string,
  options: KernelOptions,
  progress: OnProgress,
  signal: AbortSignal | undefined,
): Promise<Built> {
  // With types or modules, every object is another one.
  const kind = options.has('DEBUG_INFO_BTF') ? '-types' : options.has('MODULES') ? '-modules' : ''
  const objects = join(tree.directory, `objects${kind}`)
  const end = await beginIn(objects, key)
  try {
    progress({ step: 'configure the kernel', detail: `${options.size} options` })
    const all = new Map(options).set('LOCALVERSION', { value: `-lean-${key.slice(0, 8)}`, fragment: 'its name' })
    const wanted = join(objects, 'wanted.config')
    await writeFile(wanted, configText(all))
    await make(tree, objects, ['-s', 'allnoconfig'], { signal, env: { KCONFIG_ALLCONFIG: wanted } })
    const config = await readFile(join(objects, '.config'))
    await refuseDropped(config.toString('utf8'), all, tree.directory)
    progress({ step: 'build the kernel', fraction: 0 })
    await make(tree, objects, ['bzImage'], { signal, progress })
    return {
      kind: 'lean',
      release: (await readFile(join(objects, 'include', 'config', 'kernel.release'), 'utf8')).trim(),
      image: await readFile(join(objects, 'arch', 'x86', 'boot', 'bzImage')),
      config,
      fragments: [...new Set([...options.values()].map(({ fragment }) => fragment))].sort(),
    }
  } finally {
    await end()
  }
}

/**
 * What was compiled stays for the next kernel, which mostly differs little. Not where a build was killed in the middle
 * of changing it: an object may be half written then and look as if it were whole. One that was killed as the first
 * goes on, for make knows what is finished by the notes that it makes after each.
 */
async function beginIn(objects: string, key: string): Promise<() => Promise<void>> {
  const note = join(objects, 'under-way')
  const left = await readFile(note, 'utf8').catch(() => undefined)
  if (left !== undefined && left !== `first ${key}`) await rm(objects, { recursive: true, force: true })
  const isFirst = left === `first ${key}` || (await readFile(join(objects, '.config')).catch(() => null)) === null
  await mkdir(objects, { recursive: true })
  await writeFile(note, isFirst ? `first ${key}` : `again ${key}`)
  return () => rm(note, { force: true })
}
