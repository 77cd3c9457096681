import type { OnProgress } from '../../config/progress.ts'
import type { Blueprint } from '../schema.ts'
import type { Service } from '../service.ts'
import { Driver } from './driver.ts'
import { type Deadlines, Run } from './run.ts'
import type { Stage } from './stage.ts'

const defaults: Deadlines = { probe: 20_000, step: 30_000, workload: 600_000, stop: 30_000 }

interface Staged {
  readonly blueprint: Blueprint
  /** As resolved against the stack, in the order of their start. */
  readonly services: readonly Service[]
  /** Instead of 20 s for the probe, 30 s for each step of the workload, 600 s for all of it and 30 s for the stop. */
  readonly deadlines?: Partial<Deadlines> | undefined
  readonly progress: OnProgress
  readonly signal?: AbortSignal | undefined
}

/**
 * Gives work a stage and one run of the application on it, and takes both down whatever happens. What broke off because
 * the signal took the stage down is told as the abort that it was.
 */
export async function staged<T>(
  stage: Stage,
  { blueprint, services, deadlines, progress, signal }: Staged,
  work: (run: Run) => Promise<T>,
): Promise<T> {
  let driver: Driver | undefined
  const abort = () => driver?.end()
  signal?.addEventListener('abort', abort, { once: true })
  try {
    driver = new Driver(stage, services[0]!)
    const all = { ...defaults, ...deadlines }
    return await work(new Run({ stage, driver, blueprint, services, deadlines: all, progress, signal }))
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  } finally {
    signal?.removeEventListener('abort', abort)
    driver?.end()
    await stage.end()
  }
}
