import { layersOf } from '../blueprint/layers.ts'
import type { Blueprint } from '../blueprint/schema.ts'
import type { Selection } from '../blueprint/selection.ts'
import { servicesOf } from '../blueprint/services.ts'
import { BootloomError } from '../config/errors.ts'
import type { Logger } from '../config/log.ts'
import type { OnProgress } from '../config/progress.ts'
import type { Component } from '../repository/component.ts'
import { kernelImage } from '../repository/kernel.ts'
import { loadComponent } from '../repository/recorded.ts'
import type { Stack } from '../repository/stack.ts'
import { type BundleSummary, putBundle } from '../state/bundles.ts'
import type { State } from '../state/redis.ts'
import { canonicalJson, type Digest, digestOf } from '../store/digest.ts'
import type { Descriptor, Store } from '../store/store.ts'
import { lackingOf } from './absent.ts'
import { describeApplication } from './application.ts'
import { planApplication, planBase, planDrivers } from './base.ts'
import { bundleCommandLine } from './boot-arguments.ts'
import { type BundleConfig, type BundleManifest, type Level, mediaTypes } from './bundle-format.ts'
import { initramfsParts } from './initramfs.ts'
import { planLearning, writeLearnable } from './learn.ts'
import { planMisses } from './misses.ts'
import { planParts, type SegmentPlan } from './plan.ts'
import { weaveSegments } from './segment.ts'

interface ComposeRequest {
  readonly blueprint: Blueprint
  readonly blueprintDigest: Digest
  readonly stack: Stack
  readonly stackDigest: Digest
  readonly selection: Selection
  readonly selectionDigest: Digest
  /** The kernel modules that the node needs, in the order in which they are loaded. */
  readonly modules: readonly { readonly path: string; readonly digest: Digest; readonly size: number }[]
  readonly level: Level
  /** 1 to 22: what `level` means by the settings. */
  readonly zstdLevel: number
  readonly context: { readonly store: Store; readonly state: State; readonly log: Logger }
  /** The full image for comparison: stored like any bundle, but neither named nor listed. */
  readonly unlisted?: true
  /** For a node that learns: with what tells of the files that are touched. */
  readonly learns?: true
}

interface Composed {
  readonly digest: Digest
  readonly manifest: BundleManifest
  readonly config: BundleConfig
  readonly summary: BundleSummary
  /** Segments that were taken as they were. */
  readonly reused: number
  /** Names of the segments that were woven. */
  readonly woven: readonly string[]
  readonly seconds: number
}

/**
 * Weaves a selection into a bundle: an OCI manifest over the kernel and one segment a component. What was woven before
 * from the same files is taken again; the same request gives the same digest on any server. The manifest is written
 * last, so a bundle that can be seen is whole.
 */
export async function compose(request: ComposeRequest, progress: OnProgress, signal?: AbortSignal): Promise<Composed> {
  const { blueprint, stack, selection, level, context } = request
  const { store } = context
  const started = performance.now()
  const kernel = await loadComponent(stack.kernel, store)
  const image = kernelImage(kernel)
  const components = await Promise.all(stack.components.map((ref) => loadComponent(ref, store)))
  const kept = await orderedPlans(request, kernel, components)
  const { onMiss } = blueprint
  const lacking = request.unlisted ? undefined : lackingOf(components, kept, blueprint)
  const misses = lacking?.text ? await planMisses(onMiss, lacking, store) : undefined
  const plans = [...kept, ...(misses ? [misses.plan] : []), ...(request.learns ? [await planLearning(store)] : [])]
  let done = 0
  const weaving = weaveSegments(plans, request.zstdLevel, context, {
    signal,
    done: (name) => progress({ step: 'weave', detail: name, fraction: ++done / plans.length }),
  })
  // Counted while Redis and the disk are asked for the segments.
  const fileCount = countFiles(plans)
  const fullStack = layersOf(components).size
  const { segments, stored, recorded } = await weaving
  // Awaited below, by what refers to the segments.
  for (const promise of [stored, recorded]) promise.catch(() => {})
  signal?.throwIfAborted()
  const woven = plans.flatMap(({ name }, index) => (segments[index]!.woven ? [name] : []))
  const config: BundleConfig = {
    blueprint: blueprint.name,
    level,
    cmdline: bundleCommandLine(blueprint.kernel.cmdline),
    inputs: {
      blueprint: request.blueprintDigest,
      stack: request.stackDigest,
      profile: selection.profile,
      selection: request.selectionDigest,
    },
    fileCount,
    kernel: {
      release: kernel.name,
      version: kernel.version,
      ...(blueprint.kernel.kexec === undefined ? {} : { kexec: blueprint.kernel.kexec }),
    },
    segments: segments.map(({ summary }) => summary),
    fullStack,
    ...(misses ? { misses: { onMiss, absent: misses.absent } } : {}),
    ...(request.learns ? { learns: await writeLearnable(kept, store) } : {}),
  }
  const { manifest, digest, named } = await writeBundle(request, config, image, stored)
  const composed = { digest, manifest, config, reused: plans.length - woven.length, woven }
  const [summary] = await Promise.all([announce(request, composed), recorded, named])
  const seconds = (performance.now() - started) / 1000
  context.log.info({ event: 'bundle-composed', blueprint: blueprint.name, level, bundle: digest, woven, seconds })
  progress({ step: 'weave', fraction: 1 })
  return { ...composed, summary, seconds }
}

/**
 * Base, drivers, packages (the largest first: a package's size hardly changes from version to version), configuration,
 * how the application starts, then trees, which change most.
 */
async function orderedPlans(
  request: ComposeRequest,
  kernel: Component,
  components: readonly Component[],
): Promise<SegmentPlan[]> {
  const { stack, selection, modules, blueprint, context } = request
  const { store } = context
  const [parts, services, base] = await Promise.all([
    planParts(selection, store),
    servicesOf(blueprint, components, store),
    loadComponent(stack.busybox, store).then((busybox) => planBase(busybox, store)),
  ])
  const own = parts.flatMap(({ entries }) => entries).find(({ path }) => /^\/(init|\.bootloom)(\/|$)/.test(path))
  if (own) {
    throw new BootloomError('SELECTION_CONFLICT', `${own.path} is where Bootloom's own files stand`, {
      where: own.path,
    })
  }
  const bytes = ({ entries }: SegmentPlan) => entries.reduce((sum, { size }) => sum + size, 0)
  const packages = parts
    .filter(({ kind }) => kind !== 'configuration' && kind !== 'tree')
    .sort((a, b) => bytes(b) - bytes(a) || (a.name < b.name ? -1 : 1))
  return [
    base,
    planDrivers(kernel, modules),
    ...packages,
    ...parts.filter(({ kind }) => kind === 'configuration'),
    await planApplication(describeApplication(blueprint, services, passwdOf(parts, store)), store),
    ...parts.filter(({ kind }) => kind === 'tree'),
  ]
}

function passwdOf(parts: readonly SegmentPlan[], store: Store): string {
  const file = parts.flatMap(({ entries }) => entries).find(({ path }) => path === '/etc/passwd')
  return file?.digest === undefined ? '' : store.readNow(file.digest).toString('utf8')
}

/** As boot/init counts them: every path once, without directories and without /dev, where devtmpfs comes over it. */
function countFiles(plans: readonly SegmentPlan[]): number {
  const paths = new Set<string>()
  for (const { entries } of plans) {
    for (const { path, type } of entries) if (type !== 'dir' && !path.startsWith('/dev/')) paths.add(path)
  }
  return paths.size
}

/**
 * Configuration, manifest, and the name BLUEPRINT.LEVEL, a tag that any registry takes. All go to the disk side by side
 * with the last segments, and each is seen only after what it refers to.
 */
async function writeBundle(
  { blueprint, level, unlisted, context: { store } }: ComposeRequest,
  config: BundleConfig,
  image: { digest: Digest; size: number },
  segmentsStored: Promise<unknown>,
): Promise<{ manifest: BundleManifest; digest: Digest; named: Promise<unknown> }> {
  const configBytes = Buffer.from(canonicalJson(config))
  const manifest = manifestOf(config, { digest: digestOf(configBytes), size: configBytes.length }, image)
  const bytes = Buffer.from(canonicalJson(manifest))
  const configWritten = store.write(configBytes, segmentsStored)
  const written = store.write(bytes, configWritten)
  const { mediaType, artifactType } = manifest
  const descriptor = { mediaType, artifactType, digest: digestOf(bytes), size: bytes.length }
  const named = unlisted ? Promise.resolve() : store.tag(`${blueprint.name}.${level}`, descriptor, written)
  named.catch(() => {})
  await Promise.all([configWritten, written])
  return { manifest, digest: descriptor.digest, named }
}

function manifestOf(
  config: BundleConfig,
  written: { digest: Digest; size: number },
  image: { digest: Digest; size: number },
): BundleManifest {
  const title = (text: string) => ({ annotations: { 'org.opencontainers.image.title': text } })
  const layers: Descriptor[] = [
    {
      mediaType: mediaTypes.kernel,
      digest: image.digest,
      size: image.size,
      ...title(`vmlinuz-${config.kernel.release}`),
    },
    ...config.segments.map(({ name, digest, size }) => ({
      mediaType: mediaTypes.segment,
      digest,
      size,
      ...title(`${name}.cpio.zst`),
    })),
  ]
  return {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    artifactType: mediaTypes.bundle,
    config: { mediaType: mediaTypes.config, ...written },
    layers,
  } as const
}

/** Lists the bundle. */
async function announce(
  { blueprint, level, context, unlisted }: ComposeRequest,
  { digest, manifest, config }: Pick<Composed, 'digest' | 'manifest' | 'config'>,
): Promise<BundleSummary> {
  const summary: BundleSummary = {
    digest,
    blueprint: blueprint.name,
    level,
    files: config.fileCount,
    kernelBytes: manifest.layers[0]!.size,
    initramfsBytes: initramfsParts(manifest).size,
    rawBytes: config.segments.reduce((sum, { raw }) => sum + raw, 0),
    fullStackBytes: config.fullStack.bytes,
    createdAt: Date.now(),
  }
  return unlisted ? summary : putBundle(context.state.redis, summary)
}
