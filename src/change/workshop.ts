import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
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
  readonly child: ChildProcess
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
  readonly onProgress: OnProgress
}

/** Milliseconds that a workshop is kept without work: its caches then cost more memory than they save time. */
const keptIdle = 60_000

/**
 * The process that does the heavy work (docs/decisions/0002). Started at the first job and kept for a minute after the
 * last, so that its caches stay warm; a job in flight when it dies fails, and the next job starts it anew.
 */
export class Workshop {
  readonly #settings: Settings
  readonly #log: Logger
  readonly #keptIdle: number
  readonly #running = new Map<number, Running>()
  /** All that have not ended; the one that takes jobs is `#child`. */
  readonly #children = new Set<ChildProcess>()
  #child: ChildProcess | undefined
  #idle: NodeJS.Timeout | undefined
  #runs = 0

  constructor(settings: Settings, log: Logger, idle = keptIdle) {
    this.#settings = settings
    this.#log = log
    this.#keptIdle = idle
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
    clearTimeout(this.#idle)
    const child = this.#start()
    const run = ++this.#runs
    const abort = () => this.#tell(child, { abort: run })
    signal?.addEventListener('abort', abort, { once: true })
    return new Promise<unknown>((resolve, reject) => {
      this.#running.set(run, { child, resolve, reject, onProgress })
      this.#tell(child, { run, job })
      if (signal?.aborted) abort()
    }).finally(() => {
      this.#running.delete(run)
      if (this.#running.size === 0) this.#idle = setTimeout(() => this.#dismiss(), this.#keptIdle).unref()
      signal?.removeEventListener('abort', abort)
    }) as Promise<JobResult<K>>
  }

  async close(): Promise<void> {
    clearTimeout(this.#idle)
    this.#dismiss()
    await Promise.all([...this.#children].map((child) => once(child, 'exit')))
  }

  /** It ends by itself once it hears that nobody listens any more. */
  #dismiss(): void {
    if (this.#child?.connected) this.#child.disconnect()
    this.#child = undefined
  }

  #start(): ChildProcess {
    if (this.#child) return this.#child
    const child = fork(new URL('./workshop-process.ts', import.meta.url), {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      // The server's small heap is not for work like this.
      execArgv: [],
    })
    this.#child = child
    this.#children.add(child)
    child.on('message', (message: FromWorkshop) => this.#hear(message))
    child.on('exit', (code, killedBy) => this.#lost(child, `ended with ${killedBy ?? code} in the middle of a job`))
    child.on('error', (error) => {
      this.#log.error({ event: 'workshop-error', reason: error.message })
      if (child.pid === undefined) this.#lost(child, `did not start: ${error.message}`)
    })
    if (child.pid !== undefined) setPriority(child.pid, 10)
    this.#tell(child, { settings: this.#settings })
    return child
  }

  #lost(child: ChildProcess, how: string): void {
    this.#children.delete(child)
    if (this.#child === child) this.#child = undefined
    for (const running of this.#running.values()) {
      if (running.child === child) running.reject(new BootloomError('INTERNAL', `the workshop ${how}`))
    }
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
