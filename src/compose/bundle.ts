import { layersOf } from '../blueprint/layers.ts'
import type { Blueprint } from '../blueprint/schema.ts'
import type { Selection } from '../blueprint/selection.ts'
import { servicesOf } from '../blueprint/services.ts'
import { BootloomError } from '../config/errors.ts'
import type { Logger } from '../config/log.ts'
import type { OnProgress } from '../config/progress.ts'
import type { Component, Entry } from '../repository/component.ts'
import { kernelImage } from '../repository/kernel/kernel.ts'
import { loadComponent } from '../repository/recorded.ts'
import type { Stack } from '../repository/stack.ts'
import { type BundleSummary, putBundle } from '../state/bundles.ts'
import type { State } from '../state/redis.ts'
import type { Digest } from '../store/digest.ts'
import type { Store } from '../store/store.ts'
import { lackingOf } from './absent.ts'
import { describeApplication } from './application.ts'
import { planApplication, planBase, planDrivers, planFirmware } from './base.ts'
import { bundleCommandLine } from './boot-arguments.ts'
import type { BundleConfig, BundleManifest, Level } from './bundle-format.ts'
import { type ComposedRoot, filesIn, rootOf } from './composed-root.ts'
import { imagePath } from './image.ts'
import { initramfsParts } from './initramfs.ts'
import { planLearning, writeLearnable } from './learn.ts'
import { planMisses } from './misses.ts'
import { hasPages, planPages, withoutPages } from './pages.ts'
import { planParts, type SegmentPlan } from './plan.ts'
import { imageOf, isImaged, type RootChoice } from './root.ts'
import { weaveSegments } from './segment.ts'
import { writeBundle } from './write-bundle.ts'

interface ComposeRequest {
  readonly blueprint: Blueprint
  readonly blueprintDigest: Digest
  readonly stack: Stack
  readonly stackDigest: Digest
  readonly selection: Selection
  readonly selectionDigest: Digest
  /** What it boots, where that is not the stack's own kernel as it is. */
  readonly kernel?: {
    readonly component: Component
    /** Of a lean one, by name. */
    readonly fragments?: readonly string[] | undefined
    /** Modules that are there for the nodes' devices alone, by name. */
    readonly drivers?: readonly string[]
  }
  /** The kernel modules that the node needs, in the order in which they are loaded. */
  readonly modules: readonly { readonly path: string; readonly digest: Digest; readonly size: number }[]
  /** What they load, by the name that the kernel asks for it. */
  readonly firmware?: readonly { readonly name: string; readonly entry: Entry }[]
  /** Default: files. */
  readonly root?: RootChoice
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
  readonly root: ComposedRoot
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
  const kernel = request.kernel?.component ?? (await loadComponent(stack.kernel, store))
  const fragments = request.kernel?.fragments
  const kernelFile = kernelImage(kernel)
  const components = await Promise.all(stack.components.map((ref) => loadComponent(ref, store)))
  const kept = await orderedPlans(request, kernel, components)
  const { onMiss } = blueprint
  // Misses are told by probes, which a lean kernel has only where they are asked for.
  const told = onMiss === 'fetch' || fragments === undefined || fragments.includes('misses')
  // Of pages, by what mounts them, whatever the kernel.
  const lacks = told || hasPages(selection)
  const lacking = request.unlisted || !lacks ? undefined : lackingOf(components, kept, blueprint)
  const misses = lacking?.text ? await planMisses(onMiss, lacking, store) : undefined
  const plans = [
    ...kept,
    ...(misses && told ? [misses.plan] : []),
    ...(request.learns ? [await planLearning(store)] : []),
  ]
  let done = 0
  const weaving = weaveSegments(plans, request.zstdLevel, context, {
    signal,
    done: (name) => progress({ step: 'weave', detail: name, fraction: ++done / plans.length }),
  })
  // Counted while Redis and the disk are asked for the segments.
  const fileCount = countFiles(plans)
  const image = kept.find((plan) => plan.image)?.image
  const contents = image && (await store.writeJson(image))
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
      ...kexecOf(blueprint),
      ...(fragments ? { fragments } : {}),
      ...(request.kernel?.drivers?.length ? { drivers: request.kernel.drivers } : {}),
    },
    segments: segments.map(({ summary }) => summary),
    fullStack,
    ...(misses ? { misses: { onMiss, absent: misses.absent } } : {}),
    ...(request.learns ? { learns: await writeLearnable(kept, store) } : {}),
    ...(image && contents ? { root: { format: 'squashfs', contents, files: filesIn(image) } } : {}),
  }
  const naming = { blueprint: blueprint.name, level, unlisted: request.unlisted === true, store }
  const { manifest, digest, named } = await writeBundle(naming, config, kernelFile, stored)
  const root = rootOf(request.root, kept, config)
  const composed = { digest, manifest, config, root, reused: plans.length - woven.length, woven }
  const [summary] = await Promise.all([announce(request, composed), recorded, named])
  const seconds = (performance.now() - started) / 1000
  context.log.info({ event: 'bundle-composed', blueprint: blueprint.name, level, bundle: digest, woven, seconds })
  progress({ step: 'weave', fraction: 1 })
  return { ...composed, summary, seconds }
}

/** A lean kernel that is built for nobody's hardware in particular runs on a hypervisor's few devices. */
function kexecOf({ kernel: { kexec, flavour, hardware } }: Blueprint): { readonly kexec?: boolean } {
  if (kexec !== undefined) return { kexec }
  return flavour === 'lean' && hardware === undefined ? { kexec: true } : {}
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
  const [parts, paged, services, base] = await Promise.all([
    planParts(withoutPages(selection), store),
    planPages(selection, store),
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
  const stable = [...packages, ...parts.filter(({ kind }) => kind === 'configuration')]
  const imaged = request.root?.format === 'squashfs' ? stable.filter(isImaged) : []
  return [
    base,
    // A lean kernel has its drivers in itself.
    ...(request.kernel?.fragments ? [] : [planDrivers(kernel, modules)]),
    ...(request.firmware?.length ? [planFirmware(kernel, request.firmware)] : []),
    ...(imaged.length > 0 ? [imageOf(imaged)] : []),
    ...stable.filter((plan) => !imaged.includes(plan)),
    ...(paged ? [paged] : []),
    await planApplication(describeApplication(blueprint, services, passwdOf(parts, store)), store),
    ...parts.filter(({ kind }) => kind === 'tree'),
  ]
}

function passwdOf(parts: readonly SegmentPlan[], store: Store): string {
  const file = parts.flatMap(({ entries }) => entries).find(({ path }) => path === '/etc/passwd')
  return file?.digest === undefined ? '' : store.readNow(file.digest).toString('utf8')
}

/**
 * As boot/init counts them: every path once, without directories and without /dev, where devtmpfs comes over it. An image
 * is one file.
 */
function countFiles(plans: readonly SegmentPlan[]): number {
  const paths = new Set<string>()
  for (const { entries, image } of plans) {
    if (image) paths.add(imagePath)
    else for (const { path, type } of entries) if (type !== 'dir' && !path.startsWith('/dev/')) paths.add(path)
  }
  return paths.size
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
    files: config.fileCount + (config.root ? config.root.files - 1 : 0),
    kernelBytes: manifest.layers[0]!.size,
    initramfsBytes: initramfsParts(manifest).size,
    rawBytes: config.segments.reduce((sum, { raw }) => sum + raw, 0),
    fullStackBytes: config.fullStack.bytes,
    createdAt: Date.now(),
  }
  return unlisted ? summary : putBundle(context.state.redis, summary)
}
