import { join } from 'node:path'
import { asBootloomError, BootloomError } from '../config/errors.ts'
import type { OnProgress } from '../config/progress.ts'
import { recordComponent } from '../state/components.ts'
import { canonicalJson, type Digest } from '../store/digest.ts'
import type { ComponentRef } from './component.ts'
import type { RepositoryContext } from './context.ts'
import { debComponents } from './deb/component.ts'
import { type Resolution, resolveDebs } from './deb/resolve.ts'
import { together } from './each.ts'
import { install, installationOf, stackDirectory } from './installation.ts'
import { kernelComponent } from './kernel/kernel.ts'
import { kernelSourceComponent } from './kernel/source.ts'
import { withLock } from './lock.ts'
import { summaryOf, writeComponent } from './recorded.ts'
import type { DebRequest, SourceRequest, StackRequest, TreeRequest } from './request.ts'
import type { Stack } from './stack.ts'
import { treeComponent } from './tree.ts'

interface Change {
  readonly name: string
  /** Versions; undefined where it came new or is gone. */
  readonly from?: string
  readonly to?: string
}

export interface StackUpdate {
  readonly digest: Digest
  readonly stack: Stack
  /** The directory that the packages are installed in. */
  readonly root: string
  /** Against `previous`; empty without one. */
  readonly changed: readonly Change[]
}

/**
 * Resolves the sources to exact versions, fetches what is missing, reads it into components and installs it once. Every
 * step keeps what it finished: killed or out of disk, the next call goes on from there.
 */
export async function updateStack(
  request: StackRequest,
  context: RepositoryContext,
  progress: OnProgress,
  signal?: AbortSignal,
): Promise<StackUpdate> {
  try {
    return await update(request, context, progress, signal)
  } catch (error) {
    throw (error as NodeJS.ErrnoException | null)?.code === 'ENOSPC' ? asBootloomError(error) : error
  }
}

async function update(
  request: StackRequest,
  context: RepositoryContext,
  progress: OnProgress,
  signal?: AbortSignal,
): Promise<StackUpdate> {
  const debs = oneRequest(request.stack)
  // apt has one set of lists for each combination of suites, and fetches into one directory.
  const found = await withLock(
    context.directory,
    'apt',
    () => resolveDebs(debs, request.kernel, context, progress, signal, request.pins),
    signal,
  )
  const installation = await context.store.writeJson(installationOf(found.packages, found.steps))
  // Installing is what takes longest, and is begun before reading takes all of this process's time.
  const { promise: begun, resolve } = Promise.withResolvers<void>()
  const reading = begun.then(() => debComponents(found.packages, context, progress, signal))
  const [configuration, components, busybox, kernel] = await together(
    install(installation, reading, { context, progress, signal, begun: resolve }).finally(resolve),
    reading,
    begun.then(() => debComponents([found.busybox], context, progress, signal)),
    begun.then(() => kernelOf(found, request.kernel, context, progress, signal)),
  )
  progress({ step: 'trees' })
  const trees = await readTrees(request.stack, context, signal)
  const stack: Stack = {
    components: [...components, configuration, ...trees],
    ...kernel,
    busybox: busybox[0]!,
    installation,
  }
  return settle(stack, request.previous, context)
}

async function kernelOf(
  found: Resolution,
  { flavour, repack }: StackRequest['kernel'],
  context: RepositoryContext,
  progress: OnProgress,
  signal?: AbortSignal,
): Promise<Pick<Stack, 'kernel' | 'kernelSource'>> {
  progress({ step: 'kernel', detail: found.kernel.name })
  const kernel =
    flavour === 'lean'
      ? await kernelSourceComponent(found.kernel, context)
      : await kernelComponent(found.kernel, context, signal, repack)
  if (found.kernelSource === undefined) return { kernel }
  return { kernel, kernelSource: await kernelSourceComponent(found.kernelSource, context) }
}

/** The stack with its trees read anew; packages, kernel and root stay. Costs milliseconds and asks no mirror. */
export async function refreshTrees(
  previous: Digest,
  sources: readonly SourceRequest[],
  context: RepositoryContext,
  signal?: AbortSignal,
): Promise<StackUpdate> {
  const stack = await loadStack(previous, context)
  const trees = await readTrees(sources, context, signal)
  const others = stack.components.filter((component) => component.kind !== 'tree')
  return settle({ ...stack, components: [...others, ...trees] }, previous, context)
}

/** Makes sure that the installed root of a stack stands, from blobs alone, and says where. */
export async function ensureInstalled(
  stack: Stack,
  context: RepositoryContext,
  progress: OnProgress,
  signal?: AbortSignal,
): Promise<string> {
  const packages = stack.components.filter((component) => component.kind === 'deb')
  const configuration = await install(stack.installation, Promise.resolve(packages), { context, progress, signal })
  const expected = stack.components.find((component) => component.kind === 'configuration')
  if (configuration.digest !== expected?.digest) {
    context.log.warn({
      event: 'configuration-differs',
      installation: stack.installation,
      expected: expected?.digest,
      found: configuration.digest,
    })
  }
  return rootOf(stack, context)
}

const loadStack = (digest: Digest, context: Pick<RepositoryContext, 'store'>): Promise<Stack> =>
  context.store.readJson<Stack>(digest)

/** Where the packages of a stack are installed; there once `ensureInstalled` or `updateStack` has returned. */
const rootOf = (stack: Stack, context: Pick<RepositoryContext, 'directory'>): string =>
  join(stackDirectory(context.directory, stack.installation), 'root')

/** All deb entries of a blueprint as one request: one root has packages of one set of suites. */
function oneRequest(sources: readonly SourceRequest[]): DebRequest {
  const debs = sources.flatMap((source) => ('deb' in source ? [source.deb] : []))
  const [first, ...rest] = debs
  if (!first) throw new BootloomError('STACK_INVALID', 'the stack has no deb source to take a system from')
  const key = ({ suite, updates, security }: DebRequest) => canonicalJson({ suite, updates, security })
  if (rest.some((other) => key(other) !== key(first))) {
    throw new BootloomError('STACK_INVALID', 'the deb sources of the stack differ in suite, updates or security')
  }
  return { ...first, packages: [...new Set(debs.flatMap((deb) => deb.packages))] }
}

async function readTrees(
  sources: readonly SourceRequest[],
  context: RepositoryContext,
  signal?: AbortSignal,
): Promise<ComponentRef[]> {
  const requests = sources.flatMap((source): TreeRequest[] => ('tree' in source ? [source.tree] : []))
  const refs: ComponentRef[] = []
  for (const request of requests) {
    const component = await treeComponent(request, context.store, signal)
    const ref = await writeComponent(component, context.store)
    await recordComponent(context.state.redis, summaryOf(ref, component))
    refs.push(ref)
  }
  return refs
}

async function settle(stack: Stack, previous: Digest | undefined, context: RepositoryContext): Promise<StackUpdate> {
  const digest = await context.store.writeJson(stack)
  const before = previous === undefined ? undefined : await loadStack(previous, context)
  return { digest, stack, root: rootOf(stack, context), changed: before ? changesBetween(before, stack) : [] }
}

function changesBetween(before: Stack, after: Stack): Change[] {
  const list = (stack: Stack) =>
    new Map([...stack.components, stack.kernel, stack.busybox].map((ref) => [keyOf(ref), ref] as const))
  const [old, now] = [list(before), list(after)]
  const changed: Change[] = []
  for (const key of new Set([...old.keys(), ...now.keys()])) {
    const [from, to] = [old.get(key), now.get(key)]
    if (from?.digest === to?.digest) continue
    changed.push({
      name: (to ?? from)!.name,
      ...(from === undefined ? {} : { from: from.version }),
      ...(to === undefined ? {} : { to: to.version }),
    })
  }
  return changed.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** A kernel's name is its release: the next one is a change of the same thing, not another thing. */
const keyOf = (ref: ComponentRef): string => (ref.kind === 'kernel' ? 'kernel' : `${ref.kind} ${ref.name}`)
