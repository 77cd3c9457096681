import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { BootloomError } from '../../config/errors.ts'
import type { Command, Service, Step } from '../service.ts'
import { jobScript, surroundingsOf } from './launch.ts'
import { placeDirectories } from './place.ts'
import type { Stage } from './stage.ts'
import { resolveWithin } from './within.ts'

/** One service under watch. May be started again after it was stopped. */
export class Kept {
  readonly service: Service
  readonly #stage: Stage
  /** Milliseconds that a command of it may take. */
  readonly #patience: number
  #jobs = 0
  /** The job of the last start. */
  #started = ''
  #main: number | undefined

  constructor(service: Service, stage: Stage, patience: number) {
    this.service = service
    this.#stage = stage
    this.#patience = patience
  }

  /** Throws OBSERVE_START_FAILED; what a simple service does after its start is told by `check`. */
  async start(): Promise<void> {
    const { pre, start, type } = this.service
    this.#main = undefined
    await placeDirectories(join(this.#stage.directory, 'root'), this.service)
    for (const command of pre) {
      const status = await this.#ended(await this.#run(command), command)
      if (status !== 0 && !command.mayFail) throw await this.#failed(command, `ended with exit status ${status}`)
    }
    const before = type === 'forking' ? await this.#stage.leftBehind() : []
    this.#started = await this.#run(start)
    if (type === 'simple') {
      this.#main = await this.#pidOf(this.#started)
      return
    }
    const status = await this.#ended(this.#started, start)
    if (status !== 0 && !start.mayFail) throw await this.#failed(start, `ended with exit status ${status}`)
    this.#main = type === 'forking' ? await this.#findMain(before) : undefined
  }

  get isStarted(): boolean {
    return this.#started !== ''
  }

  /** Throws OBSERVE_START_FAILED when the service no longer runs. */
  async check(): Promise<void> {
    const { type, start } = this.service
    if (type === 'oneshot' || (this.#main !== undefined && (await this.#stage.process(this.#main)))) return
    if (type === 'forking') throw await this.#failed(start, 'left a process behind that has ended')
    // Its exit status follows at once, unless others that it started go on.
    for (let waited = 0; waited < 200; waited += 20) {
      const status = await this.#stage.exit(this.#started)
      if (status !== undefined) throw await this.#failed(start, `ended with exit status ${status}`)
      await sleep(20)
    }
    throw await this.#failed(start, 'went into the background')
  }

  /** WORKLOAD_FAILED when a command of it fails. */
  async reload(): Promise<void> {
    await this.#take(this.service.reload, true)
  }

  /** Sends a signal to its main process. */
  async signal(name: string): Promise<void> {
    if (this.#main !== undefined) await this.#stage.signal(this.#main, name)
  }

  /** Tells the service to stop. */
  async stop(): Promise<void> {
    if (this.#main !== undefined) await this.#take(this.service.stop, false)
  }

  /** Whether all that the last start began has ended. */
  async hasEnded(): Promise<boolean> {
    return this.#started === '' || (await this.#stage.exit(this.#started)) !== undefined
  }

  kill(): Promise<void> {
    return this.signal('KILL')
  }

  async #take(steps: readonly Step[], mustSucceed: boolean): Promise<void> {
    for (const step of steps) {
      if ('signal' in step) {
        await this.#stage.signal(this.#main!, step.signal)
        continue
      }
      const status = await this.#ended(await this.#run(step), step)
      if (status === 0 || step.mayFail || !mustSucceed) continue
      throw new BootloomError('WORKLOAD_FAILED', `${text(step)} ended with exit status ${status}`, {
        where: this.service.name,
        details: await this.#stage.lastOutput(),
      })
    }
  }

  async #run(command: Command): Promise<string> {
    const job = `${this.service.name}.${this.#jobs++}`
    const main = String(this.#main ?? '')
    const surroundings = surroundingsOf(this.service, command)
    const environment = main === '' ? {} : { MAINPID: main }
    const script = jobScript(
      { ...surroundings, environment: { ...surroundings.environment, ...environment } },
      command.words.map((word) => word.replaceAll('$MAINPID', main)),
      { stage: this.#stage.inside, job, isTraced: this.#stage.traced },
    )
    await this.#stage.run(job, script)
    return job
  }

  /** The exit status of a command's own process, whatever it left behind. */
  async #ended(job: string, command: Command): Promise<number> {
    const pid = await this.#pidOf(job)
    for (const end = Date.now() + this.#patience; Date.now() < end; await sleep(20)) {
      const status = await this.#stage.exit(job)
      if (status !== undefined) return status
      if (pid !== undefined && !(await this.#stage.process(pid))) {
        const traced = await this.#stage.tracedExit(pid)
        if (traced !== undefined) return traced
      }
    }
    throw await this.#failed(command, `did not end within ${this.#patience / 1000} s`)
  }

  /** Undefined when it has ended before anybody saw it. */
  async #pidOf(job: string): Promise<number | undefined> {
    for (let waited = 0; waited < 5000; waited += 5) {
      const pid = await this.#stage.pidOf(job)
      if (pid !== undefined || (await this.#stage.exit(job)) !== undefined) return pid
      await sleep(5)
    }
    return undefined
  }

  /**
   * The process that the PID file names, or the one that the start command left behind. A daemon has a session of its
   * own; what has none may be no more than a helper about to end, such as Apache's first piped log, and is taken when
   * nothing else shows.
   */
  async #findMain(before: readonly number[]): Promise<number> {
    const patient = Date.now() + 200
    for (const end = Date.now() + this.#patience; Date.now() < end; await sleep(20)) {
      const named = await this.#namedPid()
      const main = this.service.pidFile ? named : await this.#leftBy(before, Date.now() > patient)
      if (main !== undefined && (await this.#stage.process(main))) return main
      if ((await this.#stage.exit(this.#started)) !== undefined) break
    }
    const { pidFile } = this.service
    const why = pidFile ? `left no process behind that ${pidFile} names` : 'left no process behind'
    throw await this.#failed(this.service.start, why)
  }

  async #leftBy(before: readonly number[], anyOne: boolean): Promise<number | undefined> {
    const left = (await this.#stage.leftBehind()).filter((pid) => !before.includes(pid))
    for (const pid of left) if ((await this.#stage.process(pid))?.leadsSession) return pid
    return anyOne ? left[0] : undefined
  }

  async #namedPid(): Promise<number | undefined> {
    if (this.service.pidFile === undefined) return undefined
    const root = join(this.#stage.directory, 'root')
    const content = await readFile(join(root, await resolveWithin(root, this.service.pidFile, true)), 'utf8').catch(
      () => '',
    )
    const pid = /^\s*(\d{1,7})\s*(\n|$)/.exec(content)?.[1]
    return pid === undefined ? undefined : Number(pid)
  }

  async #failed(command: Command, how: string): Promise<BootloomError> {
    return new BootloomError('OBSERVE_START_FAILED', `${text(command)} ${how}`, {
      where: this.service.name,
      details: await this.#stage.lastOutput(),
      ...(how === 'went into the background'
        ? { hint: 'Give it the option that keeps it in the foreground, or say `type: forking`.' }
        : {}),
    })
  }
}

const text = ({ words }: Command): string => words[0]!
