import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { BootloomError } from '../../config/errors.ts'
import type { OnProgress } from '../../config/progress.ts'
import type { Answer } from '../answer.ts'
import type { Outcome } from '../exchange.ts'
import type { Blueprint } from '../schema.ts'
import type { Service } from '../service.ts'
import type { Probe, WorkloadStep } from '../step-schema.ts'
import type { Driver } from './driver.ts'
import { Kept } from './kept.ts'
import { moveLogs, rotateLogs } from './rotate.ts'
import type { Stage } from './stage.ts'
import { runScripts, sqlCommand, stepText } from './step.ts'

export interface StepResult {
  readonly step: string
  readonly detail: string
  /** To compare runs by. */
  readonly answer?: Answer
  readonly seconds: number
}

/** Milliseconds. */
export interface Deadlines {
  /** Until a probe is answered, from the start or a reload on; also for each command that a start or reload runs. */
  readonly probe: number
  /** For each step of the workload. */
  readonly step: number
  /** For the whole workload. */
  readonly workload: number
  /** From the stop to the end of all processes. */
  readonly stop: number
}

interface RunOptions {
  readonly stage: Stage
  readonly driver: Driver
  readonly blueprint: Blueprint
  readonly services: readonly Service[]
  readonly deadlines: Deadlines
  readonly progress: OnProgress
  readonly signal?: AbortSignal | undefined
}

/**
 * Milliseconds. What has just come up is still setting itself up, and some then lose the signal (mariadbd): a stop waits
 * until the processes have done nothing for a while, and at most that long from the first answer.
 */
const settling = { calm: 200, most: 1000 }

/** One application under watch, from its start to its end. */
export class Run {
  readonly #options: RunOptions
  readonly #kept: readonly Kept[]
  #answeredAt = 0

  constructor(options: RunOptions) {
    this.#options = options
    this.#kept = options.services.map((service) => new Kept(service, options.stage, options.deadlines.probe))
  }

  /** Starts the services in their order, each once those before it are ready, and waits for the blueprint's probe. */
  async start(): Promise<Outcome> {
    for (const kept of this.#kept) {
      const { name, start, probe } = kept.service
      this.#options.progress({ step: 'start', detail: `${name}: ${start.words.join(' ')}`.slice(0, 200) })
      await kept.start()
      if (probe) await this.#answered(probe)
    }
    const outcome = await this.#answered(this.#options.blueprint.probe)
    this.#answeredAt = Date.now()
    return outcome
  }

  async workload(): Promise<StepResult[]> {
    const { blueprint, deadlines, stage, progress } = this.#options
    const steps = blueprint.workload
    const results: StepResult[] = []
    const end = Date.now() + deadlines.workload
    for (const [index, step] of steps.entries()) {
      const text = stepText(step)
      progress({ step: 'workload', detail: `${index + 1}/${steps.length} ${text}`, fraction: index / steps.length })
      const begun = performance.now()
      const failed = async (why: string) =>
        new BootloomError('WORKLOAD_FAILED', `${text}: ${why}`, {
          where: `${blueprint.name} workload[${index}]`,
          details: await stage.lastOutput(),
        })
      if (Date.now() >= end) throw await failed(`the workload did not end within ${deadlines.workload / 1000} s`)
      const outcome = await this.#take(step)
      await this.#checkRunning()
      if (!outcome.ok) throw await failed(outcome.detail)
      const { detail, answer } = outcome
      results.push({ step: text, detail, ...(answer && { answer }), seconds: (performance.now() - begun) / 1000 })
    }
    return results
  }

  /** Ends the application as the node would, and by force when it does not listen. */
  async stop(): Promise<'by signal' | 'killed'> {
    this.#options.progress({ step: 'stop' })
    await this.#settle()
    for (const kept of this.#kept.toReversed()) await kept.stop()
    for (const end = Date.now() + this.#options.deadlines.stop; Date.now() < end; await sleep(20)) {
      if ((await Promise.all(this.#kept.map((kept) => kept.hasEnded()))).every(Boolean)) return 'by signal'
    }
    for (const kept of this.#kept) await kept.kill()
    return 'killed'
  }

  async #settle(): Promise<void> {
    const { stage } = this.#options
    const end = this.#answeredAt + settling.most
    for (let ticks = -1, calmSince = Date.now(); Date.now() < end; await sleep(20)) {
      const now = await stage.processorTicks()
      if (now !== ticks) [ticks, calmSince] = [now, Date.now()]
      if (Date.now() - calmSince >= settling.calm) return
    }
  }

  async #take(step: WorkloadStep): Promise<Outcome> {
    const { signal, driver, deadlines, stage } = this.#options
    const root = join(stage.directory, 'view')
    if ('wait' in step) {
      await sleep(step.wait * 1000, undefined, { ...(signal && { signal }) })
      return { ok: true, detail: 'waited' }
    }
    if ('reload' in step) return this.#reload()
    if ('rotate' in step) return this.#rotate(root)
    if ('restart' in step) {
      await this.stop()
      return this.start()
    }
    if ('scripts' in step) return runScripts(step, root, driver, deadlines.step)
    if ('sql' in step) return driver.ask(sqlCommand(step), deadlines.step)
    return driver.ask(step, deadlines.step)
  }

  /** As the packages say; where none of them says anything of the logs that are there, all are moved, and all reload. */
  async #rotate(root: string): Promise<Outcome> {
    const { driver, deadlines, blueprint } = this.#options
    const { outcome, told, isHandled } = await rotateLogs(root, this.#kept, driver, deadlines.step)
    if (!outcome.ok) return outcome
    if (!isHandled) {
      await moveLogs(root)
      return this.#kept.some(canReload) ? this.#reload() : this.#answered(blueprint.probe)
    }
    for (const one of told) {
      if ('signal' in one) await one.service.signal(one.signal)
      else if (one.what === 'reload') await one.service.reload()
    }
    if (told.some((one) => 'what' in one && one.what === 'restart')) {
      await this.stop()
      return this.start()
    }
    await sleep(300)
    return this.#answered(blueprint.probe)
  }

  async #reload(): Promise<Outcome> {
    if (!this.#kept.some(canReload)) return { ok: false, detail: 'no service can be told to reload' }
    for (const kept of this.#kept) await kept.reload()
    // The old state answers until the signal is taken up; what comes after it should meet the new one.
    await sleep(300)
    return this.#answered(this.#options.blueprint.probe)
  }

  /** Probes until the answer is the expected one. */
  async #answered(probe: Probe): Promise<Outcome> {
    const { deadlines, driver, progress, stage, blueprint } = this.#options
    const end = Date.now() + deadlines.probe
    progress({ step: 'probe', detail: stepText(probe) })
    let last: Outcome = { ok: false, detail: 'it was not asked' }
    while (Date.now() < end) {
      await this.#checkRunning()
      last = await driver.ask(probe, Math.max(100, Math.min(5000, end - Date.now())))
      if (last.ok) {
        await this.#checkRunning()
        return last
      }
      await sleep(50)
    }
    throw new BootloomError(
      'PROBE_NEVER_ANSWERED',
      `${stepText(probe)} was not answered as expected within ${deadlines.probe / 1000} s: ${last.detail}`,
      { where: blueprint.name, details: await stage.lastOutput() },
    )
  }

  async #checkRunning(): Promise<void> {
    for (const kept of this.#kept) if (kept.isStarted) await kept.check()
  }
}

const canReload = ({ service }: Kept): boolean => service.reload.length > 0
