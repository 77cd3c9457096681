import { randomUUID } from 'node:crypto'
import { access, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../config/command.ts'
import type { OnProgress } from '../config/progress.ts'
import { recordComponent } from '../state/components.ts'
import { type Digest, hexOf, parseDigest } from '../store/digest.ts'
import type { Component, ComponentRef } from './component.ts'
import { configurationOf } from './configuration.ts'
import type { RepositoryContext } from './context.ts'
import { installPackages } from './deb/install.ts'
import type { ResolvedPackage } from './deb/resolve.ts'
import { withLock } from './lock.ts'
import { loadComponent, summaryOf, writeComponent } from './recorded.ts'

/** What was installed: its digest names the root. A blob, so that a lost root can be made again. */
export interface Installation {
  /** Of the procedure: raised whenever the same packages would give another root. */
  readonly format: 1
  /** Sorted by name. */
  readonly packages: readonly ResolvedPackage[]
}

export const stackDirectory = (directory: string, installation: Digest): string =>
  join(directory, 'stacks', hexOf(installation))

/**
 * The root of an installation and its configuration component; installed now when it is not there. The directory comes
 * by one rename when all of it stands: one that can be seen is whole.
 */
export async function install(
  installation: Digest,
  components: readonly ComponentRef[],
  context: RepositoryContext,
  progress: OnProgress,
  signal?: AbortSignal,
): Promise<ComponentRef> {
  const directory = stackDirectory(context.directory, installation)
  const found = await installed(directory, context)
  if (found) return found
  return withLock(
    context.directory,
    `stack-${hexOf(installation).slice(0, 16)}`,
    async () => {
      const meanwhile = await installed(directory, context)
      if (meanwhile) return meanwhile
      await removeAbandoned(directory)
      const work = `${directory}.${randomUUID()}`
      try {
        await mkdir(work, { recursive: true })
        const ref = await installInto(work, installation, components, context, progress, signal)
        await run('sync', ['-f', work])
        await removeTree(directory)
        await rename(work, directory)
        return ref
      } catch (error) {
        await removeTree(work)
        throw error
      }
    },
    signal,
  )
}

async function installInto(
  work: string,
  installation: Digest,
  refs: readonly ComponentRef[],
  context: RepositoryContext,
  progress: OnProgress,
  signal?: AbortSignal,
): Promise<ComponentRef> {
  const { packages } = await context.store.readJson<Installation>(installation)
  const components = await Promise.all(refs.map((ref) => loadComponent(ref, context.store)))
  const sourceDateEpoch = components.reduce((newest, component) => Math.max(newest, component.mtime), 0)
  const root = join(work, 'root')
  progress({ step: 'install', detail: `${packages.length} packages`, fraction: 0 })
  await installPackages({ packages, sourceDateEpoch, root, work }, context.store, progress, signal)
  progress({ step: 'attribute', detail: 'what belongs to no package' })
  const batch = await context.store.batch()
  try {
    const configuration = await configurationOf(root, components, sourceDateEpoch, batch, signal)
    const ref = await writeComponent(configuration, batch)
    await batch.commit()
    await record(ref, configuration, context)
    await writeFile(join(work, 'configuration'), ref.digest)
    return ref
  } finally {
    await batch.abandon()
  }
}

const record = (ref: ComponentRef, component: Component, context: RepositoryContext) =>
  recordComponent(context.state.redis, summaryOf(ref, component))

/** The configuration component of an installation that stands, or undefined. */
async function installed(directory: string, context: RepositoryContext): Promise<ComponentRef | undefined> {
  let digest: Digest
  try {
    await access(join(directory, 'root'))
    digest = parseDigest(await readFile(join(directory, 'configuration'), 'utf8'))
  } catch {
    return undefined
  }
  if (!(await context.store.has(digest))) return undefined
  const { kind, name, version } = await loadComponent({ digest }, context.store)
  return { kind, name, version, digest }
}

/** What a process that was killed had begun; only called under the lock. */
async function removeAbandoned(directory: string): Promise<void> {
  const parent = join(directory, '..')
  const prefix = `${directory.slice(directory.lastIndexOf('/') + 1)}.`
  for (const name of await readdir(parent).catch(() => [])) {
    if (name.startsWith(prefix)) await removeTree(join(parent, name))
  }
}

/** Never across a mount: a killed installation may have left the host's own directories mounted below. */
async function removeTree(path: string): Promise<void> {
  await run('rm', ['-rf', '--one-file-system', path])
}
