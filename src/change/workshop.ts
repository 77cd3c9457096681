import { type ChildProcess, fork } from 'node:child_process'
import { setPriority } from 'node:os'
import { BootloomError, type SerializedError } from '../config/errors.ts'
import type { Logger } from '../config/log.ts'
import type { OnProgress, Progress } from '../config/progress.ts'
import type { Settings } from '../config/settings.ts'
import type { Job, JobKind, JobResult } from './jobs.ts'

/** What the workshop's process is told. */
export type ToWorkshop =
  | { readonly settings: Settings }
  | { readonly run: number; readonly job: Job }
  | { readonly abort: number }

/** What it answers. */
export type FromWorkshop =
  | { readonly run: number; readonly progress: Progress }
  | { readonly run: number; readonly result: unknown }
  | { readonly run: number; readonly error: SerializedError }

interface Running {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
  readonly onProgress: OnProgress
}

/**
 * The process that does the heavy work (docs/decisions/0002). Started at the first job and kept, so that its caches stay
 * warm; a job in flight when it dies fails, and the next job starts it anew.
 */
export class Workshop {
  readonly #settings: Settings
  readonly #log: Logger
  readonly #running = new Map<number, Running>()
  #child: ChildProcess | undefined
  #runs = 0

  constructor(settings: Settings, log: Logger) {
    this.#settings = settings
    this.#log = log
  }

  /** Of its process, while that runs. */
  get pid(): number | undefined {
    return this.#child?.pid
  }

  run<K extends JobKind>(
    job: Extract<Job, { kind: K }>,
    onProgress: OnProgress = () => {},
    signal?: AbortSignal,
  ): Promise<JobResult<K>> {
    const child = this.#start()
    const run = ++this.#runs
    const abort = () => this.#tell(child, { abort: run })
    signal?.addEventListener('abort', abort, { once: true })
    return new Promise<unknown>((resolve, reject) => {
      this.#running.set(run, { resolve, reject, onProgress })
      this.#tell(child, { run, job })
      if (signal?.aborted) abort()
    }).finally(() => {
      this.#running.delete(run)
      signal?.removeEventListener('abort', abort)
    }) as Promise<JobResult<K>>
  }

  async close(): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.disconnect()
    await gone
  }

  #start(): ChildProcess {
    if (this.#child) return this.#child
    const child = fork(new URL('./workshop-process.ts', import.meta.url), {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#child = child
    child.on('message', (message: FromWorkshop) => this.#hear(message))
    child.on('exit', (code, killedBy) => {
      this.#child = undefined
      for (const running of this.#running.values()) {
        running.reject(
          new BootloomError('INTERNAL', `the workshop ended with ${killedBy ?? code} in the middle of a job`),
        )
      }
    })
    child.on('error', (error) => this.#log.error({ event: 'workshop-error', reason: error.message }))
    if (child.pid !== undefined) setPriority(child.pid, 10)
    this.#tell(child, { settings: this.#settings })
    return child
  }

  #tell(child: ChildProcess, message: ToWorkshop): void {
    if (child.connected) child.send(message)
  }

  #hear(message: FromWorkshop): void {
    const running = this.#running.get(message.run)
    if (!running) return
    if ('progress' in message) running.onProgress(message.progress)
    else if ('error' in message) running.reject(BootloomError.fromJSON(message.error))
    else running.resolve(message.result)
  }
}
