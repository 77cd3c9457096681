import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { run } from '../../config/command.ts'
import { BootloomError } from '../../config/errors.ts'
import type { OnProgress } from '../../config/progress.ts'
import type { Component, ComponentRef } from '../component.ts'
import type { RepositoryContext } from '../context.ts'
import { withLock } from '../lock.ts'
import { loadComponent } from '../recorded.ts'
import { sourceArchive } from './source.ts'

/** A kernel's source, unpacked. */
export interface KernelTree {
  readonly directory: string
  readonly source: Component
  /** Seconds since 1970: of the source's release. */
  readonly mtime: number
}

/** Lines that `make` prints for a kernel of some fragments, or so. */
const usualLines = 1750

/**
 * Runs `work` in a source's tree while nobody else builds in it. The tree is unpacked once and comes by one rename; that
 * of an older version of the same source is taken away.
 */
export async function inKernelTree<T>(
  ref: ComponentRef,
  context: RepositoryContext,
  progress: OnProgress,
  work: (tree: KernelTree) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const source = await loadComponent(ref, context.store)
  const archive = sourceArchive(source)
  if (archive?.digest === undefined) {
    throw new BootloomError('COMPONENT_INCOMPLETE', `${source.name} ${source.version} is no source of a kernel`)
  }
  const kernels = join(context.directory, 'kernels')
  const directory = join(kernels, `${source.name}_${source.version}`)
  return withLock(
    context.directory,
    `kernel-${source.name}`,
    async () => {
      if (!(await isThere(directory))) {
        progress({ step: 'unpack the kernel', detail: `${source.name} ${source.version}` })
        await mkdir(kernels, { recursive: true })
        for (const name of await readdir(kernels)) {
          if (name.startsWith(`${source.name}_`)) await rm(join(kernels, name), { recursive: true, force: true })
        }
        await unpack(context.store.path(archive.digest!), source.name, directory, signal)
      }
      const { mtimeMs } = await stat(join(directory, 'Makefile'))
      return work({ directory, source, mtime: Math.floor(mtimeMs / 1000) })
    },
    signal,
  )
}

async function unpack(deb: string, name: string, directory: string, signal?: AbortSignal): Promise<void> {
  const options = signal === undefined ? {} : { signal }
  const [package_, tree] = [`${directory}.deb`, `${directory}.new`]
  try {
    await mkdir(tree)
    await run('dpkg-deb', ['--extract', deb, package_], options)
    const archive = join(package_, 'usr', 'src', `${name}.tar.xz`)
    await run('tar', ['--extract', '--xz', '--file', archive, '--directory', tree, '--strip-components=1'], options)
    await rename(tree, directory)
  } finally {
    for (const path of [package_, tree]) await rm(path, { recursive: true, force: true })
  }
}

const isThere = (path: string): Promise<boolean> =>
  stat(path)
    .then(() => true)
    .catch(() => false)

/**
 * `make` in a tree, what it makes going to `objects`, a directory of the tree: all paths are relative then, and a kernel's
 * bytes do not tell where it was built (kernel document kbuild/reproducible-builds). Stopped by the signal, it goes on
 * another time where it was. KERNEL_BUILD_FAILED with its last lines.
 */
export async function make(
  { directory, mtime }: KernelTree,
  objects: string,
  words: readonly string[],
  { progress, signal, env, isWithin }: Making = {},
): Promise<void> {
  let lines = 0
  const script = 'exec make "$@" 1>&2'
  const jobs = `-j${Math.min(availableParallelism(), 16)}`
  try {
    const where = isWithin ? ['-C', objects] : ['-C', directory, `O=${objects}`]
    await run('sh', ['-c', script, 'make', jobs, ...where, ...words], {
      env: {
        LC_ALL: 'C',
        KBUILD_BUILD_TIMESTAMP: new Date(mtime * 1000).toISOString(),
        KBUILD_BUILD_USER: 'bootloom',
        KBUILD_BUILD_HOST: 'bootloom',
        KBUILD_BUILD_VERSION: '1',
        ...env,
      },
      ...(signal === undefined ? {} : { signal }),
      onLine: (line) => {
        lines++
        progress?.({
          step: 'build the kernel',
          detail: line.trim().replace(/\s+/g, ' '),
          fraction: Math.min(0.99, lines / usualLines),
        })
      },
    })
  } catch (error) {
    if (!(error instanceof BootloomError) || error.code !== 'COMMAND_FAILED') throw error
    throw new BootloomError('KERNEL_BUILD_FAILED', `the kernel could not be built: ${words.join(' ')}`, {
      where: objects,
      details: error.details,
      cause: error,
    })
  }
}

interface Making {
  readonly progress?: OnProgress
  readonly signal?: AbortSignal | undefined
  readonly env?: Readonly<Record<string, string>>
  /** Begun in `objects` itself, so that what is said of single files is not lost on the way there. */
  readonly isWithin?: true
}
