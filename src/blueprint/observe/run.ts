import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { BootloomError } from '../../config/errors.ts'
import type { OnProgress } from '../../config/progress.ts'
import type { Outcome } from '../exchange.ts'
import type { Blueprint, WorkloadStep } from '../schema.ts'
import type { Driver } from './driver.ts'
import type { Stage } from './stage.ts'

export interface StepResult {
  readonly step: string
  readonly detail: string
  readonly seconds: number
}

/** Milliseconds. */
export interface Deadlines {
  /** Until the probe is answered, from the start or a reload on. */
  readonly probe: number
  /** For each step of the workload. */
  readonly step: number
  /** From the stop signal to the end of all processes. */
  readonly stop: number
}

/** One application under watch, from its start to its end. */
export class Run {
  readonly #stage: Stage
  readonly #driver: Driver
  readonly #blueprint: Blueprint
  readonly #deadlines: Deadlines
  readonly #progress: OnProgress
  readonly #signal: AbortSignal | undefined

  constructor(
    stage: Stage,
    driver: Driver,
    blueprint: Blueprint,
    deadlines: Deadlines,
    progress: OnProgress,
    signal?: AbortSignal,
  ) {
    this.#signal = signal
    this.#stage = stage
    this.#driver = driver
    this.#blueprint = blueprint
    this.#deadlines = deadlines
    this.#progress = progress
  }

  /** Probes until the answer is the expected one. */
  async untilAnswered(): Promise<Outcome> {
    const { probe } = this.#blueprint
    const end = Date.now() + this.#deadlines.probe
    this.#progress({ step: 'probe', detail: stepText(probe) })
    let last: Outcome = { ok: false, detail: 'it was not asked' }
    while (Date.now() < end) {
      await this.#checkRunning()
      last = await this.#driver.ask(probe, Math.max(100, Math.min(5000, end - Date.now())))
      if (last.ok) {
        await this.#checkRunning()
        return last
      }
      await sleep(50)
    }
    throw new BootloomError(
      'PROBE_NEVER_ANSWERED',
      `${stepText(probe)} was not answered as expected within ${this.#deadlines.probe / 1000} s: ${last.detail}`,
      { where: this.#blueprint.name, details: await this.#stage.lastOutput() },
    )
  }

  async workload(): Promise<StepResult[]> {
    const steps = this.#blueprint.workload
    const results: StepResult[] = []
    for (const [index, step] of steps.entries()) {
      const text = stepText(step)
      this.#progress({
        step: 'workload',
        detail: `${index + 1}/${steps.length} ${text}`,
        fraction: index / steps.length,
      })
      const begun = performance.now()
      const outcome = await this.#take(step)
      await this.#checkRunning()
      if (!outcome.ok) {
        throw new BootloomError('WORKLOAD_FAILED', `${text}: ${outcome.detail}`, {
          where: `${this.#blueprint.name} workload[${index}]`,
          details: await this.#stage.lastOutput(),
        })
      }
      results.push({ step: text, detail: outcome.detail, seconds: (performance.now() - begun) / 1000 })
    }
    return results
  }

  /** Ends the application as the node would, and by force when it does not listen. */
  async stop(): Promise<'by signal' | 'killed'> {
    this.#progress({ step: 'stop' })
    await this.#stage.signal(this.#blueprint.start.stop)
    const end = Date.now() + this.#deadlines.stop
    while (Date.now() < end) {
      if ((await this.#stage.exit()) !== undefined) return 'by signal'
      await sleep(20)
    }
    await this.#stage.signal('KILL')
    return 'killed'
  }

  async #take(step: WorkloadStep): Promise<Outcome> {
    if ('wait' in step) {
      await sleep(step.wait * 1000, undefined, { ...(this.#signal && { signal: this.#signal }) })
      return { ok: true, detail: 'waited' }
    }
    if ('reload' in step) {
      await this.#stage.signal(this.#blueprint.start.reload)
      // The old state answers until the signal is taken up; what comes after it should meet the new one.
      await sleep(300)
      return this.untilAnswered()
    }
    return this.#driver.ask(step, this.#deadlines.step)
  }

  async #checkRunning(): Promise<void> {
    const exit = await this.#stage.exit()
    if (exit === undefined && !(await this.#hasLeft())) return
    const how = exit === undefined ? 'went into the background' : `ended with exit status ${exit}`
    throw new BootloomError('OBSERVE_START_FAILED', `${this.#blueprint.start.command[0]} ${how}`, {
      where: this.#blueprint.name,
      details: await this.#stage.lastOutput(),
    })
  }

  /** True when the main process is gone while others that it started go on. */
  async #hasLeft(): Promise<boolean> {
    const pid = await readFile(join(this.#stage.directory, 'pid'), 'utf8').catch(() => '')
    if (pid.trim() === '') return false
    const alive = await access(join(this.#stage.directory, 'root/proc', pid.trim())).then(
      () => true,
      () => false,
    )
    // It may have ended between the two looks; its exit status then follows at once.
    if (alive) return false
    await sleep(100)
    return (await this.#stage.exit()) === undefined
  }
}

/** A step in words: `GET /`, `tcp 6379`, `reload`. */
function stepText(step: WorkloadStep): string {
  if ('http' in step) return `GET ${step.http}${step.port === 80 ? '' : ` on port ${step.port}`}`
  if ('tcp' in step)
    return `tcp ${step.tcp}${step.send === undefined ? '' : ` ${JSON.stringify(step.send.slice(0, 40))}`}`
  if ('command' in step) return step.command.join(' ').slice(0, 80)
  return 'reload' in step ? 'reload' : `wait ${step.wait} s`
}
