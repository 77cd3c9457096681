import { BootloomError } from '../../config/errors.ts'
import type { OnProgress } from '../../config/progress.ts'
import type { Digest } from '../../store/digest.ts'
import type { RepositoryContext } from '../context.ts'
import { together } from '../each.ts'
import type { DebRequest, Flavour, PinnedPackage, StackRequest } from '../request.ts'
import { type AptRoot, openAptRoot, outputOf, updateLists } from './apt.ts'
import { parseStanzas, type Stanza } from './control.ts'
import { fetchDebs } from './fetch.ts'
import { applyPins, refuseUnpinned } from './pinned.ts'
import { aptSources } from './sources.ts'
import { stepsOf } from './steps.ts'

/** One package at one version, its .deb in the store. */
export interface ResolvedPackage {
  readonly name: string
  readonly version: string
  readonly architecture: string
  /** Of the .deb file: what the signed index of the suite says it is. */
  readonly deb: Digest
}

export interface Resolution {
  /** All that gets installed: essential packages, apt, those asked for, and what they depend on; sorted by name. */
  readonly packages: readonly ResolvedPackage[]
  /** Their names, in the order in which they are installed (deb/steps.ts). */
  readonly steps: readonly (readonly string[])[]
  /** Of a lean one, its source. */
  readonly kernel: ResolvedPackage
  /** The same version's source, where the kernel is to be repacked. */
  readonly kernelSource?: ResolvedPackage
  readonly busybox: ResolvedPackage
}

/** Asks the suites for exact versions and brings every .deb into the store. */
export async function resolveDebs(
  request: DebRequest,
  { flavour, repack }: StackRequest['kernel'],
  context: RepositoryContext,
  progress: OnProgress,
  signal?: AbortSignal,
  pins: readonly PinnedPackage[] = [],
): Promise<Resolution> {
  const { root, packages, stanzas } = await resolvePackages(request, pins, context, progress, signal)
  const [kernel, busybox] = await together(
    kernelPackage(root, flavour, request, signal),
    candidate(root, 'busybox-static', request, signal),
  )
  const kernelSource = repack ? await kernelPackage(root, 'lean', request, signal, kernel.version) : undefined
  const wanted = [...packages, kernel, ...(kernelSource ? [kernelSource] : []), busybox]
  await fetchDebs(root, wanted, context.store, progress, signal)
  const steps = stepsOf(firstOfEach(stanzas), request.packages)
  return { packages, steps, kernel, ...(kernelSource ? { kernelSource } : {}), busybox }
}

/** Two sources may offer the same version of a package. */
const firstOfEach = (stanzas: readonly Stanza[]): Stanza[] => [
  ...new Map([...stanzas].reverse().map((fields) => [fields.get('package')!, fields])).values(),
]

/**
 * The exact versions alone, of what gets installed, with what the suites say of them; pinned packages are at theirs. PACKAGE_UNKNOWN, PACKAGE_UNRESOLVABLE,
 * PIN_UNAVAILABLE.
 */
export async function resolvePackages(
  request: DebRequest,
  pins: readonly PinnedPackage[],
  context: RepositoryContext,
  progress: OnProgress,
  signal?: AbortSignal,
): Promise<{ root: AptRoot; packages: ResolvedPackage[]; stanzas: readonly Stanza[] }> {
  const root = await openAptRoot(context.directory, await aptSources(request))
  await applyPins(root, pins, context)
  progress({ step: 'resolve', detail: `reading the lists of ${request.suite}` })
  await updateLists(root, signal)
  progress({ step: 'resolve', detail: request.packages.join(' ') })
  const words = await wouldInstall(root, request, signal)
  const stanzas = parseStanzas(await root.apt('apt-cache', ['show', ...words], { signal }))
  const packages = packagesOf(stanzas, words)
  refuseUnpinned(packages, pins)
  return { root, packages, stanzas }
}

/**
 * What apt would install into an empty root, as NAME=VERSION: what it says that it would fetch, which takes it half the time
 * of a simulation. `?essential` is what mmdebstrap itself begins with.
 */
async function wouldInstall(root: AptRoot, request: DebRequest, signal?: AbortSignal): Promise<string[]> {
  const words = ['install', '-q', '--print-uris', '--assume-yes', '--no-install-recommends', '--', '?essential', 'apt']
  let output: string
  try {
    output = await root.apt('apt-get', [...words, ...request.packages], { signal })
  } catch (error) {
    throw asPackageError(error, request)
  }
  // Names of files, in which apt writes `:` and `_` of a version as %3a and %5f.
  const found = [...output.matchAll(/^'[^']*' ([^_\s]+)_([^_\s]+)_[^_\s]+\.deb /gm)].map(
    ([, name, version]) => [name!, decodeURIComponent(version!)] as const,
  )
  const names = new Set(found.map(([name]) => name))
  // apt reads `name-` as a wish to remove, and `.` or `+` as a pattern where no package has that very name.
  for (const wanted of request.packages) {
    const name = wanted.replace(/=.*/, '')
    if (!names.has(name)) throw unknown(name, request)
  }
  return found.map(([name, version]) => `${name}=${version}`)
}

function asPackageError(error: unknown, request: DebRequest): unknown {
  if (!(error instanceof BootloomError) || error.code !== 'COMMAND_FAILED') return error
  const lines = outputOf(error)
  const output = lines.join('\n')
  const missing =
    output.match(/Unable to locate package (\S+)/) ??
    output.match(/Version '[^']*' for '([^']*)' was not found/) ??
    output.match(/Package '([^']*)' has no installation candidate/) ??
    output.match(/Couldn't find any package by (?:glob|regex) '([^']*)'/)
  if (missing) return unknown(missing[1]!, request, error)
  return new BootloomError('PACKAGE_UNRESOLVABLE', `${request.packages.join(', ')} cannot be installed together`, {
    where: request.suite,
    details: lines.filter((line) => /^ |^E:/.test(line)).slice(-20),
    cause: error,
  })
}

function unknown(name: string, request: DebRequest, cause?: unknown): BootloomError {
  const wanted = request.packages.find((word) => word === name || word.startsWith(`${name}=`)) ?? name
  const suites = [request.suite, ...(request.updates ? ['updates'] : []), ...(request.security ? ['security'] : [])]
  return new BootloomError('PACKAGE_UNKNOWN', `${suites.join(' + ')} has no package ${wanted}`, {
    where: wanted,
    ...(cause === undefined ? {} : { cause }),
  })
}

export async function showPackages(
  root: AptRoot,
  words: readonly string[],
  signal?: AbortSignal,
): Promise<ResolvedPackage[]> {
  return packagesOf(parseStanzas(await root.apt('apt-cache', ['show', ...words], { signal })), words)
}

function packagesOf(stanzas: readonly Stanza[], words: readonly string[]): ResolvedPackage[] {
  const packages = new Map<string, ResolvedPackage>()
  for (const fields of stanzas) {
    const name = fields.get('package')!
    const sha256 = fields.get('sha256')
    if (packages.has(name) || !sha256 || !/^[0-9a-f]{64}$/.test(sha256)) continue
    packages.set(name, {
      name,
      version: fields.get('version')!,
      architecture: fields.get('architecture')!,
      deb: `sha256:${sha256}`,
    })
  }
  if (packages.size !== words.length) {
    const missing = words.filter((word) => !packages.has(word.replace(/=.*/, '')))
    throw new BootloomError('MIRROR_UNREACHABLE', `the suite's index does not describe ${missing.join(', ')}`)
  }
  return [...packages.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
}

async function candidate(root: AptRoot, name: string, request: DebRequest, signal?: AbortSignal) {
  try {
    return (await showPackages(root, [await candidateVersion(root, name, signal)], signal))[0]!
  } catch (error) {
    throw asPackageErrorOr(error, name, request)
  }
}

async function candidateVersion(root: AptRoot, name: string, signal?: AbortSignal): Promise<string> {
  const output = await root.apt('apt-cache', ['show', '--no-all-versions', name], { signal })
  return `${name}=${parseStanzas(output)[0]?.get('version')}`
}

function asPackageErrorOr(error: unknown, name: string, request: DebRequest): unknown {
  return error instanceof BootloomError && error.code === 'COMMAND_FAILED' ? unknown(name, request, error) : error
}

const metaPackages: Readonly<Record<Flavour, string>> = {
  cloud: 'linux-image-cloud-amd64',
  generic: 'linux-image-amd64',
  lean: 'linux-source',
}

/**
 * The kernel, or the source of a lean one, that the flavour's meta package depends on, at that version or the newest;
 * nothing of what a kernel package itself depends on.
 */
export async function kernelPackage(
  root: AptRoot,
  flavour: Flavour,
  request: DebRequest,
  signal?: AbortSignal,
  version?: string,
) {
  const meta = metaPackages[flavour]
  try {
    const output = await root.apt('apt-cache', ['show', '--no-all-versions', meta], { signal })
    const depends = parseStanzas(output)[0]?.get('depends')
    const [, name, only] = depends?.match(/(linux-(?:image|source)-[0-9][^\s,]*)\s*(?:\(= (\S+)\))?/) ?? []
    if (name === undefined) throw unknown(meta, request)
    const exact = version ?? only
    const word = exact ? `${name}=${exact}` : await candidateVersion(root, name, signal)
    return (await showPackages(root, [word], signal))[0]!
  } catch (error) {
    throw asPackageErrorOr(error, meta, request)
  }
}
