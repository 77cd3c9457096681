import { setTimeout as sleep } from 'node:timers/promises'
import type { NetworkProbe, Outcome } from '../../blueprint/exchange.ts'
import { stepText } from '../../blueprint/observe/step.ts'
import type { Blueprint } from '../../blueprint/schema.ts'
import type { WorkloadStep } from '../../blueprint/step-schema.ts'
import type { Measure } from '../../state/measures.ts'

/** Puts one question to the application; `timeout` in milliseconds. */
export type Ask = (step: NetworkProbe, timeout: number) => Promise<Outcome>

export interface Asked {
  readonly answers: Measure['answers']
  /** What was not answered as the blueprint expects. */
  readonly failures: readonly string[]
}

/** Milliseconds for one step; an emulated machine is slow. */
const patience = 30_000

const isNetwork = (step: WorkloadStep): step is NetworkProbe => 'http' in step || 'tcp' in step

/**
 * Puts the blueprint's probe and workload to an application over the network, as far as they go over the network at all:
 * commands beside the application, signals and restarts were tried when the bundle was replayed.
 */
export async function askAll(
  { probe, workload }: Pick<Blueprint, 'probe' | 'workload'>,
  ask: Ask,
  signal: AbortSignal,
): Promise<Asked> {
  const answers: { step: string; answer?: NonNullable<Outcome['answer']> }[] = []
  const failures: string[] = []
  for (const step of [probe, ...workload]) {
    signal.throwIfAborted()
    if ('wait' in step) await sleep(step.wait * 1000, undefined, { signal })
    if (!isNetwork(step)) continue
    const { ok, detail, answer } = await ask(step, patience)
    answers.push({ step: stepText(step), ...(answer ? { answer } : {}) })
    if (!ok) failures.push(`${stepText(step)}: ${detail}`)
  }
  return { answers: answers as Measure['answers'], failures }
}
