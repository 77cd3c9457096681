import type { Blueprint } from '../../blueprint/schema.ts'
import type { BundleConfig, BundleManifest } from '../../compose/bundle-format.ts'
import { BootloomError } from '../../config/errors.ts'
import type { Boot } from '../../state/boots.ts'
import type { Measure } from '../../state/measures.ts'
import type { Digest } from '../../store/digest.ts'
import type { Store } from '../../store/store.ts'
import type { Asked } from './asking.ts'

/** A bundle to be tried. */
export interface Candidate {
  readonly blueprint: Blueprint
  readonly bundle: Digest
}

/** What a machine showed: what was measured, or why it did not come up, with what it said last. */
export type Shown =
  | { readonly measure: Measure; readonly failures: readonly string[]; readonly notes: readonly string[] }
  | { readonly failed: string; readonly lines: readonly string[] }

/** A machine that boots a bundle and is then asked what the blueprint asks. */
export interface Machine {
  /** What figures of it may be compared with: those of the same. */
  readonly by: string
  boot(candidate: Candidate): Promise<Shown>
  /** What it shows of a bundle that it runs already; undefined when it runs something else. */
  shows?(candidate: Candidate): Promise<Shown | undefined>
  /** Whether it boots when it is told to, so that one more boot costs nobody anything. */
  isAtHand(): Promise<boolean>
}

/** The figures of a boot that came up. */
export async function measureOf(
  boot: Boot,
  bundle: Digest,
  { answers }: Asked,
  by: string,
  store: Store,
): Promise<Measure> {
  const ready = boot.stages.findLast(({ stage }) => stage === 'ready')
  const script = boot.stages.findLast(({ stage, action }) => stage === 'script' && isGiven(action))
  const { memTotal, memAvailable } = ready ?? {}
  if (!ready || !script || memTotal === undefined || memAvailable === undefined) {
    throw new BootloomError('INTERNAL', `the boot ${boot.id} has no figures to measure by`)
  }
  return {
    boot: ready.at - script.at,
    memory: memTotal - memAvailable,
    size: await sizeOf(bundle, store),
    answers,
    by,
    at: Date.now(),
  }
}

const isGiven = (action: string | undefined): boolean => action === 'boot' || action === 'kexec'

async function sizeOf(bundle: Digest, store: Store): Promise<number> {
  const manifest = await store.readJson<BundleManifest>(bundle)
  const { segments } = await store.readJson<BundleConfig>(manifest.config.digest)
  // The kernel is the first layer.
  return manifest.layers[0]!.size + segments.reduce((sum, { raw }) => sum + raw, 0)
}

/** The address that a node told, or was given, last. */
export function addressOf({ stages }: Boot): string | undefined {
  const told = stages.flatMap(({ stage, address, detail }) =>
    ['ack', 'network', 'app', 'ready'].includes(stage)
      ? (address ?? detail?.match(/\b\d{1,3}(?:\.\d{1,3}){3}\b/)?.[0] ?? [])
      : [],
  )
  return told.at(-1)
}
