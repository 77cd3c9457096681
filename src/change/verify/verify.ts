import { type Thresholds, thresholdsOf } from '../../blueprint/policy-schema.ts'
import type { Blueprint } from '../../blueprint/schema.ts'
import { BootloomError } from '../../config/errors.ts'
import { contentOf } from '../../fleet/stale.ts'
import type { PartName } from '../../state/changes.ts'
import { getMeasure, type Measure, putMeasure } from '../../state/measures.ts'
import { type Digest, shortDigest } from '../../store/digest.ts'
import type { Work } from '../work.ts'
import { canaryNode } from './canary.ts'
import { compareMeasures } from './compare.ts'
import { inIsolation, machineIsPossible } from './isolation.ts'
import type { Candidate, Machine, Shown } from './trial.ts'
import { virtualMachine } from './virtual.ts'

/** What verifying a bundle found. */
export interface Verification {
  readonly holds: boolean
  readonly by: string
  /** What keeps it from being promoted. */
  readonly findings: readonly string[]
  /** What is told all the same; where it did not come up, what it printed last. */
  readonly notes: readonly string[]
  /** Of this bundle and, ending in `Before`, of the one that it would replace. Milliseconds and bytes. */
  readonly figures: Readonly<Record<string, number>>
}

/**
 * Boots a bundle, has it answer the blueprint's probe and workload over the network, and compares what it took with the
 * bundle that it would replace. VERIFY_IMPOSSIBLE where there is nothing to boot it on.
 */
export async function verifyBundle(
  share: PartName,
  blueprint: Blueprint,
  bundle: Digest,
  replaced: Digest | null,
  work: Work,
): Promise<Verification> {
  const { context, progress, signal } = work
  const thresholds = thresholdsOf(blueprint.verify ?? true)!
  const { by, deadline, canaryDeadline, canary: common } = context.settings.verify
  progress({ step: 'verify', detail: shortDigest(bundle) })
  const candidate = { blueprint, bundle }
  const isVirtual = by !== 'canary' && (await machineIsPossible())
  if (isVirtual) {
    const options = { ram: thresholds.ram, deadline: deadline * 1000, signal }
    return inIsolation(context, signal, (isolation) =>
      judge(virtualMachine(isolation, context, options), thresholds, candidate, replaced, work),
    )
  }
  const canary = thresholds.canary ?? common
  if (by === 'machine' || canary === undefined) {
    throw new BootloomError('VERIFY_IMPOSSIBLE', 'there is nothing to verify it on', { where: blueprint.name })
  }
  const machine = canaryNode(context, canary, { share, deadline: canaryDeadline * 1000, signal })
  return judge(machine, thresholds, candidate, replaced, work)
}

async function judge(
  machine: Machine,
  thresholds: Thresholds,
  candidate: Candidate,
  replaced: Digest | null,
  work: Work,
): Promise<Verification> {
  const before = replaced === null ? undefined : await measureBefore(machine, { ...candidate, bundle: replaced }, work)
  let shown = await tried(machine, candidate, work)
  if ('failed' in shown) return notUp(machine, shown)
  let compared = compareMeasures(thresholds, shown.measure, before)
  if (compared.onlySlow && shown.failures.length === 0) {
    work.progress({ step: 'verify', detail: 'slower than before: once more' })
    const again = await tried(machine, candidate, work)
    if ('failed' in again) return notUp(machine, again)
    if (again.measure.boot < shown.measure.boot) shown = again
    compared = compareMeasures(thresholds, shown.measure, before)
  }
  const { measure, failures, notes } = shown
  const findings = [...failures, ...compared.findings]
  const { boot, memory, size } = measure
  const figures = {
    ...{ boot, memory, size },
    ...(before ? { bootBefore: before.boot, memoryBefore: before.memory, sizeBefore: before.size } : {}),
  }
  return { holds: findings.length === 0, by: machine.by, findings, notes: [...compared.notes, ...notes], figures }
}

const notUp = ({ by }: Machine, { failed, lines }: Extract<Shown, { failed: string }>): Verification => ({
  holds: false,
  by,
  findings: [`it does not come up: ${failed}`],
  notes: lines,
  figures: {},
})

/** What the bundle before showed, on the same machine; booted now where that is not known and costs nobody anything. */
async function measureBefore(machine: Machine, candidate: Candidate, work: Work): Promise<Measure | undefined> {
  const { store, state, log } = work.context
  if (!(await store.has(candidate.bundle))) return undefined
  const known = await getMeasure(state.redis, await contentOf(store, candidate.bundle))
  if (known?.by === machine.by) return known
  const running = await machine.shows?.(candidate)
  if (!running && !(await machine.isAtHand())) return undefined
  work.progress({ step: 'verify', detail: `${shortDigest(candidate.bundle)}, which it would replace` })
  const shown = running ? await remembered(running, candidate, work) : await tried(machine, candidate, work)
  if (!('failed' in shown)) return shown.measure
  log.warn({ event: 'replaced-bundle-not-up', bundle: candidate.bundle, reason: shown.failed })
  return undefined
}

const tried = async (machine: Machine, candidate: Candidate, work: Work): Promise<Shown> =>
  remembered(await machine.boot(candidate), candidate, work)

/** Figures are remembered with what the bundle brings, so that none is booted again only to be compared with. */
async function remembered(shown: Shown, candidate: Candidate, { context: { store, state } }: Work): Promise<Shown> {
  if (!('failed' in shown)) await putMeasure(state.redis, await contentOf(store, candidate.bundle), shown.measure)
  return shown
}
