import { randomUUID } from 'node:crypto'
import { access, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { run } from '../config/command.ts'
import type { OnProgress } from '../config/progress.ts'
import { recordComponent } from '../state/components.ts'
import { canonicalJson, type Digest, digestOf, hexOf, parseDigest } from '../store/digest.ts'
import type { Component, ComponentRef } from './component.ts'
import { configurationOf } from './configuration.ts'
import type { RepositoryContext } from './context.ts'
import { datesOf } from './deb/dates.ts'
import { type InstallOptions, type InstallStep, installPackages } from './deb/install.ts'
import type { ResolvedPackage } from './deb/resolve.ts'
import { together } from './each.ts'
import { withLock } from './lock.ts'
import { loadComponent, summaryOf, writeComponent } from './recorded.ts'

/** What was installed: its digest names the root. A blob, so that a lost root can be made again. */
export interface Installation {
  /** Of the procedure: raised whenever the same packages would give another root. */
  readonly format: 1 | 2
  /** Sorted by name. */
  readonly packages: readonly ResolvedPackage[]
  /** Their names, in the order in which they are installed (deb/steps.ts); of format 1 not there: all at once. */
  readonly steps?: readonly (readonly string[])[]
}

export const stackDirectory = (directory: string, installation: Digest): string =>
  join(directory, 'stacks', hexOf(installation))

interface Installing {
  readonly context: RepositoryContext
  readonly progress: OnProgress
  readonly signal?: AbortSignal | undefined
  /** Called when another process is at it, and this one has time for something else. */
  readonly begun?: () => void
}

/**
 * The root of an installation and its configuration component; installed now when it is not there. The directory comes
 * by one rename when all of it stands: one that can be seen is whole. `components`, which may still be read meanwhile, are
 * those of its packages.
 */
export async function install(
  installation: Digest,
  components: Promise<readonly ComponentRef[]>,
  installing: Installing,
): Promise<ComponentRef> {
  const { context } = installing
  const directory = stackDirectory(context.directory, installation)
  const found = await installed(directory, context)
  if (found) return found
  const whole = await wantedFor(installation, context)
  const make = (work: string) => installWhole(work, whole, components, installing)
  return placed(directory, () => installed(directory, context), make, installing)
}

async function wantedFor(installation: Digest, { store }: RepositoryContext): Promise<Wanted> {
  const { packages, steps = [packages.map(({ name }) => name)] } = await store.readJson<Installation>(installation)
  return { packages, steps, dates: await datesOf(packages, store) }
}

interface Wanted extends Required<Pick<Installation, 'packages' | 'steps'>> {
  /** When each package was built, by its name. */
  readonly dates: ReadonlyMap<string, number>
}

/**
 * What stands in a directory, or was made in another, on the disk, and renamed to it, by one process at a time.
 */
async function placed<T>(
  directory: string,
  standing: () => Promise<T | undefined>,
  make: (work: string) => Promise<T>,
  { context, signal, begun }: Installing,
): Promise<T> {
  const hold = async () => {
    const meanwhile = await standing()
    if (meanwhile !== undefined) return meanwhile
    await removeAbandoned(directory)
    const work = `${directory}.${randomUUID()}`
    try {
      await mkdir(work, { recursive: true })
      const made = await make(work)
      await removeTree(directory)
      await rename(work, directory)
      return made
    } catch (error) {
      await removeTree(work)
      throw error
    }
  }
  return withLock(context.directory, `stack-${basename(directory).slice(0, 16)}`, hold, signal, begun)
}

async function installWhole(
  work: string,
  wanted: Wanted,
  refs: Promise<readonly ComponentRef[]>,
  installing: Installing,
): Promise<ComponentRef> {
  const { context, progress, signal } = installing
  const { steps } = wanted
  const root = join(work, 'root')
  progress({ step: 'install', detail: `${wanted.packages.length} packages`, fraction: 0 })
  await installSteps(work, wanted, installing)
  progress({ step: 'attribute', detail: 'what belongs to no package' })
  const components = await Promise.all((await refs).map((ref) => loadComponent(ref, context.store)))
  const batch = await context.store.batch()
  try {
    // It goes to the disk meanwhile.
    const [configuration] = await together(
      configurationOf(root, components, dateOf(steps, wanted), batch, signal),
      run('sync', ['-f', root]),
    )
    const ref = await writeComponent(configuration, batch)
    await batch.commit()
    await record(ref, configuration, context)
    await writeFile(join(work, 'configuration'), ref.digest, { flush: true })
    return ref
  } finally {
    await batch.abandon()
  }
}

/**
 * Installs what no root has that stands: the most that the first steps have come to already, for whichever stack, is gone
 * on from. Where there is none, the first step's root is kept for others as soon as it is made.
 */
async function installSteps(work: string, wanted: Wanted, installing: Installing): Promise<void> {
  const { context, progress, signal, begun: told } = installing
  const { steps } = wanted
  const take = (begun: Pick<InstallOptions, 'from' | 'keep'>, count: number) => {
    const options = {
      ...begun,
      packages: wanted.packages,
      steps: datedSteps(wanted, count),
      root: join(work, 'root'),
      work,
    }
    return installPackages(options, context.store, progress, signal, told)
  }
  for (let count = steps.length - 1; count > 0; count--) {
    const from = join(directoryOf(firstSteps(wanted, count), context), 'root')
    if (await stands(from)) return take({ from }, count)
  }
  if (steps.length === 1) return take({}, 0)
  const directory = directoryOf(firstSteps(wanted, 1), context)
  const from = join(directory, 'root')
  let taken: Promise<void> | undefined
  const make = async (place: string): Promise<true> => {
    const keep = join(place, 'root')
    taken = take({ keep }, 0)
    await taken.catch(async (error) => {
      if (!(await stands(`${keep}.whole`))) throw error
    })
    await rm(`${keep}.whole`)
    return true
  }
  await placed(directory, async () => (await stands(from)) || undefined, make, installing)
  // Another process made it while this one waited.
  await (taken ?? take({ from }, 1))
}

const stands = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

function firstSteps({ packages, steps, dates }: Wanted, count: number): Wanted {
  const names = new Set(steps.slice(0, count).flat())
  return { packages: packages.filter(({ name }) => names.has(name)), steps: steps.slice(0, count), dates }
}

const directoryOf = ({ packages, steps }: Wanted, { directory }: RepositoryContext): string =>
  stackDirectory(directory, digestOf(canonicalJson(installationOf(packages, steps))))

export const installationOf = (packages: Installation['packages'], steps: Wanted['steps']): Installation => ({
  format: 2,
  packages,
  steps,
})

/** Those after the first `count`. */
const datedSteps = (wanted: Wanted, count: number): InstallStep[] =>
  wanted.steps
    .map((names, index) => ({ names, sourceDateEpoch: dateOf(wanted.steps.slice(0, index + 1), wanted) }))
    .slice(count)

/** Of the newest package of some steps: what comes after them must not change what they come to. */
const dateOf = (steps: Wanted['steps'], { dates }: Wanted): number =>
  steps.flat().reduce((newest, name) => Math.max(newest, dates.get(name) ?? 0), 0)

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
