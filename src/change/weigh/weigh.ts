import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { zstdDecompress } from 'node:zlib'
import { isForeign, parseAnyBlueprint } from '../../blueprint/parse.ts'
import { thresholdsOf } from '../../blueprint/policy-schema.ts'
import type { Blueprint } from '../../blueprint/schema.ts'
import type { Selection } from '../../blueprint/selection.ts'
import type { BundleConfig, BundleManifest } from '../../compose/bundle-format.ts'
import { type CpioRecord, readCpio } from '../../compose/cpio-reader.ts'
import { endMarker } from '../../compose/end-marker.ts'
import { initramfsParts } from '../../compose/initramfs.ts'
import { memoryOf } from '../../compose/root.ts'
import { BootloomError } from '../../config/errors.ts'
import { qmp } from '../../machine/qmp.ts'
import type { Boot } from '../../state/boots.ts'
import { getInventory, putOrder } from '../../state/orders.ts'
import { type Digest, shortDigest } from '../../store/digest.ts'
import type { Store } from '../../store/store.ts'
import { pagesRead } from '../kernel.ts'
import { askAll } from '../verify/asking.ts'
import { type Isolation, inIsolation, machineIsPossible } from '../verify/isolation.ts'
import { addressOf } from '../verify/trial.ts'
import { powerOn, watch } from '../verify/virtual.ts'
import type { Work } from '../work.ts'
import { kernelParts, memoryParts, processParts } from './memory-parts.ts'
import { savingsOf } from './savings.ts'
import { parseMemory } from './told.ts'
import type { Part, Weight } from './weight.ts'

const decompress = promisify(zstdDecompress)

export interface WeighJob {
  readonly bundle: Digest
  /** MiB of the machine that it is weighed on; that of verifying unless given. */
  readonly ram?: number | undefined
}

/** Milliseconds for the agent's answer. */
const patience = 30_000

/**
 * Boots a bundle in a virtual machine, has it answer the blueprint's probe and workload over the network, and asks it
 * where its memory is. WEIGH_FAILED.
 */
export async function weighBundle({ bundle, ram: asked }: WeighJob, work: Work): Promise<Weight> {
  const { context, progress, signal } = work
  const { store, settings } = context
  const manifest = await store.readJson<BundleManifest>(bundle)
  const config = await store.readJson<BundleConfig | { readonly level: 'foreign' }>(manifest.config.digest)
  if (config.level === 'foreign') throw failed('what a foreign bundle does on a node is not ours to see')
  if (!(await machineIsPossible())) throw failed('there is no QEMU here, or this is not root')
  const blueprint = parseAnyBlueprint((await store.read(config.inputs.blueprint)).toString('utf8'), 'blueprint.yaml')
  if (isForeign(blueprint)) throw failed('it is of a foreign blueprint')
  const ram = asked ?? thresholdsOf(true)!.ram
  progress({ step: 'boot', detail: `${shortDigest(bundle)} with ${ram} MiB` })
  const deadline = settings.verify.deadline * 1000
  const { boot, text } = await inIsolation(context, signal, (isolation) =>
    askMachine(isolation, { blueprint, bundle }, { ram, deadline }, work),
  )
  const told = parseMemory(text)
  progress({ step: 'count', detail: `${config.segments.length} segments` })
  const [files, selection, pages = {}] = await Promise.all([
    filesOf(manifest, config, store),
    store.readJson<Selection>(config.inputs.selection),
    pagesRead(config.blueprint, context),
  ])
  const kernel = manifest.layers[0]!.size
  return {
    bundle,
    blueprint: config.blueprint,
    level: config.level,
    root: config.root?.format ?? 'files',
    ram: ram * 1024 * 1024,
    wire: wireOf(kernel, config, boot, bundle),
    memory: memoryParts(ram * 1024 * 1024, told),
    files: [...files, { name: 'taken on it, as the node says', bytes: told.root, how: 'measured' }],
    processes: processParts(told),
    kernel: kernelParts(told),
    savings: savingsOf({ config, kernel, selection, files, told, pages }),
  }
}

async function askMachine(
  isolation: Isolation,
  candidate: { readonly blueprint: Blueprint; readonly bundle: Digest },
  { ram, deadline }: { readonly ram: number; readonly deadline: number },
  { progress, signal }: Work,
): Promise<{ readonly boot: Boot; readonly text: string }> {
  const { redis, asker } = isolation
  const machine = await powerOn(isolation, 1, ram, candidate)
  try {
    const boot = await watch(isolation, machine, deadline, signal)
    if ('failed' in boot) throw failed(`it does not come up: ${boot.failed}`, boot.lines)
    const host = addressOf(boot)!
    progress({ step: 'drive', detail: 'probe and workload' })
    await askAll(candidate.blueprint, (step, timeout) => asker.ask(step, host, timeout), signal)
    const order = await putOrder(redis, machine.mac, { do: 'weigh', boot: boot.id })
    for (const began = Date.now(); Date.now() - began < patience; await sleep(100)) {
      signal.throwIfAborted()
      const text = await getInventory(redis, order.id)
      if (text !== undefined) return { boot, text }
    }
    throw failed('its agent does not say where its memory is: compose it anew')
  } finally {
    await qmp(machine.control, 'quit').catch(() => {})
  }
}

const failed = (why: string, details: readonly string[] = []): BootloomError =>
  new BootloomError('WEIGH_FAILED', `the bundle cannot be weighed: ${why}`, { details: [...details] })

/** The end marker stands behind the overlay, which is sent with it. */
function wireOf(kernel: number, config: BundleConfig, { stages }: Boot, bundle: Digest): Part[] {
  const marker = endMarker(bundle, config.fileCount + 2).length
  const overlay = stages.find(({ stage }) => stage === 'overlay')?.bytes ?? marker
  return [
    { name: `kernel ${config.kernel.release}`, bytes: kernel, how: 'counted' },
    ...config.segments.map(({ name, size }): Part => ({ name, bytes: size, how: 'counted' })),
    { name: 'overlay', bytes: overlay - marker, how: 'measured' },
    { name: 'end marker', bytes: marker, how: 'counted' },
  ]
}

/** Whole pages of the files that each segment unpacks to; drivers are taken away once they are loaded. */
async function filesOf(manifest: BundleManifest, { segments }: BundleConfig, store: Store): Promise<Part[]> {
  const { parts } = initramfsParts(manifest)
  const files: Part[] = []
  for (const [index, { descriptor }] of parts.entries()) {
    const { name, kind } = segments[index]!
    const records = kind === 'drivers' ? [] : readCpio(await decompress(await store.read(descriptor.digest)))
    files.push({ name, bytes: memoryOf(records.map(asFile)), how: 'counted' })
  }
  return files
}

/** Of several names of one file, one has the content. */
const asFile = ({ mode, content }: CpioRecord) => ({
  type: (mode & 0o170000) === 0o100000 ? 'file' : 'other',
  size: content.length,
})
