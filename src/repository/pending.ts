import type { OnProgress } from '../config/progress.ts'
import { canonicalJson, type Digest } from '../store/digest.ts'
import type { RepositoryContext } from './context.ts'
import { openAptRoot, updateLists } from './deb/apt.ts'
import { debComponents } from './deb/component.ts'
import { fetchDebs } from './deb/fetch.ts'
import { applyPins } from './deb/pinned.ts'
import { kernelPackage, type ResolvedPackage, showPackages } from './deb/resolve.ts'
import { aptSources } from './deb/sources.ts'
import { compareDebVersions } from './deb/version.ts'
import { kernelComponent } from './kernel/kernel.ts'
import { kernelSourceComponent } from './kernel/source.ts'
import { withLock } from './lock.ts'
import type { DebRequest, Flavour } from './request.ts'

/** The suites of a Debian source. */
export type Suites = Pick<DebRequest, 'suite' | 'updates' | 'security'>

/** What is asked of one source: what its blueprints have, and of what the files are wanted too. */
export interface PendingRequest {
  readonly suites: Suites
  /** Packages by name, each with the version that one has now. */
  readonly packages: Readonly<Record<string, string>>
  /** Kernels by flavour, with the version that one has now. */
  readonly kernels: Partial<Readonly<Record<Flavour, string>>>
  /** Of which of them the files are needed: the others are named only. */
  readonly wanted: readonly string[]
  /** A version asked for by name; without one, the newest. */
  readonly version?: string
}

/** A version that a source offers and that differs from the one at hand. */
export interface PendingUpdate {
  readonly kind: 'deb' | 'kernel'
  /** Of a package; of a kernel, its release. */
  readonly name: string
  readonly version: string
  /** Of a kernel: which of them. */
  readonly flavour?: Flavour
  /** The suites that have this version. */
  readonly suites: readonly string[]
  /** Read from its .deb; only where the files were wanted. */
  readonly component?: Digest
}

export const suitesKey = ({ suite, updates, security }: Suites): string => canonicalJson({ suite, updates, security })

/**
 * Asks a source which versions newer than those at hand it offers. Nothing is installed; .debs are fetched and read only
 * of the packages whose files are wanted. MIRROR_UNREACHABLE, SUITE_UNAVAILABLE.
 */
export function pendingUpdates(
  request: PendingRequest,
  context: RepositoryContext,
  progress: OnProgress,
  signal?: AbortSignal,
): Promise<PendingUpdate[]> {
  return withLock(context.directory, 'apt', () => ask(request, context, progress, signal), signal)
}

async function ask(
  request: PendingRequest,
  context: RepositoryContext,
  progress: OnProgress,
  signal?: AbortSignal,
): Promise<PendingUpdate[]> {
  const deb: DebRequest = { ...request.suites, packages: [] }
  const root = await openAptRoot(context.directory, await aptSources(deb))
  await applyPins(root, [], context)
  progress({ step: 'pending', detail: `reading the lists of ${deb.suite}` })
  await updateLists(root, signal)
  const names = Object.keys(request.packages)
  const offers = names.length === 0 ? [] : readMadison(await root.apt('apt-cache', ['madison', ...names], { signal }))
  const updates = names.flatMap((name) => newerOf(name, request, offers))
  const kernels = await newerKernels(request, (flavour) => kernelPackage(root, flavour, deb, signal))
  const words = updates.filter(({ name }) => request.wanted.includes(name)).map((one) => `${one.name}=${one.version}`)
  const packages = words.length === 0 ? [] : await showPackages(root, words, signal)
  const images = kernels.map(({ image }) => image)
  await fetchDebs(root, [...packages, ...images], context.store, progress, signal)
  const refs = await debComponents(packages, context, progress, signal)
  const digests = new Map(refs.map(({ name, digest }) => [name, digest]))
  const found: PendingUpdate[] = updates.map((update) => {
    const component = digests.get(update.name)
    return component === undefined ? update : { ...update, component }
  })
  for (const { flavour, image } of kernels) {
    const read = flavour === 'lean' ? kernelSourceComponent(image, context) : kernelComponent(image, context, signal)
    const { name, version, digest } = await read
    found.push({ kind: 'kernel', name, version, flavour, suites: [deb.suite], component: digest })
  }
  return found
}

interface Offer {
  readonly name: string
  readonly version: string
  readonly suite: string
}

/** Lines of `apt-cache madison`: ` NAME | VERSION | URI SUITE/COMPONENT ARCHITECTURE Packages`. */
function readMadison(text: string): Offer[] {
  return [...text.matchAll(/^ *(\S+) \| +(\S+) \| \S+ (\S+)\/\S+ \S+ Packages$/gm)].map(([, name, version, suite]) => ({
    name: name!,
    version: version!,
    suite: suite!,
  }))
}

function newerOf(name: string, { packages, version }: PendingRequest, offers: readonly Offer[]): PendingUpdate[] {
  const own = offers.filter((offer) => offer.name === name)
  const newest =
    version ?? own.map((offer) => offer.version).reduce((a, b) => (compareDebVersions(a, b) >= 0 ? a : b), '')
  const suites = own.filter((offer) => offer.version === newest).map(({ suite }) => suite)
  if (suites.length === 0 || (version === undefined && compareDebVersions(newest, packages[name]!) <= 0)) return []
  return [{ kind: 'deb', name, version: newest, suites: [...new Set(suites)].sort() }]
}

async function newerKernels(
  { kernels, version }: PendingRequest,
  imageOf: (flavour: Flavour) => Promise<ResolvedPackage>,
) {
  const found: { flavour: Flavour; image: ResolvedPackage }[] = []
  if (version !== undefined) return found
  for (const flavour of ['cloud', 'generic', 'lean'] as const) {
    const present = kernels[flavour]
    if (present === undefined) continue
    const image = await imageOf(flavour)
    if (compareDebVersions(image.version, present) > 0) found.push({ flavour, image })
  }
  return found
}
