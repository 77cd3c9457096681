import type { Job, Queue, Worker } from 'bullmq'
import { asBootloomError, type BootloomError } from '../../config/errors.ts'
import { getPart, openParts, type PartName } from '../../state/changes.ts'
import { keys } from '../../state/keys.ts'
import { queueConnection, type Redis } from '../../state/redis.ts'
import { type Digest, hexOf } from '../../store/digest.ts'
import type { Context } from '../context.ts'
import { impactOf } from '../impact/impact.ts'
import { impactWork } from '../impact/jobs.ts'
import { makeUp } from '../make-up.ts'
import { returnCanaries } from '../verify/return.ts'
import type { Workshop } from '../workshop.ts'
import { settleArrived } from './decide.ts'
import { openFromSources } from './open.ts'
import { fail } from './road.ts'

/** What waits in the queue: a blueprint's share of a change, a look at the sources, or the thorough level of a bundle. */
type Task = ({ readonly task: 'share' } & PartName) | { readonly task: 'look' } | Thorough
interface Thorough {
  readonly task: 'thorough'
  readonly blueprint: string
  readonly bundle: Digest
}

/** Shares that one server takes up at the same time. */
const atOnce = 2
/** Milliseconds: a server that says nothing for so long has lost its task to the next one. */
const lock = 5_000
const stalledEvery = 2_500
/** Milliseconds between two looks for shares that no task is in the queue for. */
const reconcileEvery = 30_000
/** Times that a share is tried whose way was barred by something else than its bundle. */
const attempts = 4
const backoff = { type: 'exponential', delay: 3000 } as const
/** In the queue after everything else. */
const last = 1000

const name = 'changes'

/**
 * Takes changes along their road, together with all other servers on the same Redis. The queue shares the work out and
 * gives the task of a server that died to another; what is to be done, and how far it has come, stands with the changes
 * themselves, so a queue that is lost is filled anew from them.
 */
export class Pipeline {
  readonly #context: Context
  readonly #workshop: Workshop
  readonly #stop = new AbortController()
  #started: Promise<void> | undefined
  #queue: Queue | undefined
  #worker: Worker | undefined
  #connection: Redis | undefined
  #timers: NodeJS.Timeout[] = []
  /** Gives a task back to the queue, to be taken at a time (milliseconds since 1970). */
  #later: ((job: Job, at: number, token: string | undefined) => Promise<never>) | undefined

  constructor(context: Context, workshop: Workshop) {
    this.#context = context
    this.#workshop = workshop
  }

  /** Begins to take tasks; again, it does nothing. */
  start(): Promise<void> {
    this.#started ??= this.#begin()
    return this.#started
  }

  async #begin(): Promise<void> {
    // Loaded by who takes tasks: a single command need not wait for it.
    const { DelayedError, Queue, Worker } = await import('bullmq')
    this.#later = async (job, at, token) => {
      await job.moveToDelayed(at, token)
      throw new DelayedError()
    }
    const queue = new Queue(name, this.#place())
    this.#queue = queue
    const { log } = this.#context
    const worker = new Worker<Task>(name, (job, token) => this.#perform(job, token), {
      ...this.#place(),
      concurrency: atOnce,
      lockDuration: lock,
      stalledInterval: stalledEvery,
      // However often a server dies, the work goes on.
      maxStalledCount: 1_000_000,
      drainDelay: 5,
    })
    this.#worker = worker
    worker.on('error', (error) => log.error({ event: 'queue-error', reason: error.message }))
    worker.on('completed', (job) => void this.#completed(job.data))
    queue.on('error', (error) => log.error({ event: 'queue-error', reason: error.message }))
    await this.wake()
    this.#timers.push(setInterval(() => void this.wake(), reconcileEvery).unref())
    const { every } = this.#context.settings.updates
    if (every !== undefined) {
      const period = every * 60_000
      this.#timers.push(setInterval(() => void this.#look(period), Math.min(period, 60_000)).unref())
      void this.#look(period)
    }
  }

  /** Sees to it that a task is in the queue for every share that has not ended, and to what was left undone beside them. */
  async wake(): Promise<void> {
    if (!this.#worker) return
    try {
      await makeUp(this.#context)
      await returnCanaries(this.#context)
      for (const share of await openParts(this.#context.state.redis)) await this.#add(share)
    } catch (error) {
      this.#context.log.warn({ event: 'changes-not-queued', reason: (error as Error).message })
    }
  }

  /** A rollout is over: what waited for a person, and came to its channel by it, waits no longer. */
  async rolledOut(blueprint: string): Promise<void> {
    try {
      for (const share of await settleArrived(this.#context, blueprint)) await this.#thorough(share)
      await this.wake()
    } catch (error) {
      this.#context.log.warn({ event: 'changes-not-settled', blueprint, reason: (error as Error).message })
    }
  }

  /** Asks the sources what they have newer, and makes a change of what is news. `asked`: as in `openFromSources`. */
  async detect(asked: readonly string[] = [], signal?: AbortSignal): Promise<PartName[]> {
    const work = impactWork((job) => this.#workshop.run(job, undefined, signal))
    const report = await impactOf({}, this.#context, work)
    const opened = await openFromSources(this.#context, report, asked)
    await this.wake()
    return opened
  }

  async close(): Promise<void> {
    this.#stop.abort()
    for (const timer of this.#timers) clearInterval(timer)
    // What is under way is not waited for: it is put back, or found to have stalled.
    await this.#worker?.close(true).catch(() => {})
    await this.#queue?.close().catch(() => {})
    this.#connection?.disconnect()
  }

  #place() {
    this.#connection ??= queueConnection(this.#context.state, this.#context.log)
    return { connection: this.#connection, prefix: keys.queues() }
  }

  /** Each task is there once: adding one that waits, or is under way, does nothing. */
  async #add({ change, blueprint }: PartName): Promise<void> {
    await this.#queue!.add(
      'share',
      { task: 'share', change, blueprint },
      { jobId: `share.${change}.${blueprint}`, attempts, backoff, removeOnComplete: true, removeOnFail: true },
    )
  }

  /** The same look is in the queue once, whichever server's clock brings it. */
  async #look(every: number): Promise<void> {
    const age = Math.ceil((2 * every) / 1000)
    const options = { removeOnComplete: { age }, removeOnFail: { age } }
    const jobId = `look.${Math.floor(Date.now() / every)}`
    await this.#queue!.add('look', { task: 'look' }, { jobId, ...options }).catch((error: Error) =>
      this.#context.log.warn({ event: 'changes-not-queued', reason: error.message }),
    )
  }

  async #perform(job: Job<Task>, token?: string): Promise<void> {
    const { data } = job
    try {
      if (data.task === 'look') await this.detect([], this.#stop.signal)
      else if (data.task === 'thorough') {
        const { blueprint, bundle } = data
        await this.#workshop.run({ kind: 'thorough', blueprint, bundle }, undefined, this.#stop.signal)
      } else {
        const { change, blueprint } = data
        const taken = await this.#workshop.run({ kind: 'change', change, blueprint }, undefined, this.#stop.signal)
        if (taken.until !== undefined) await this.#later!(job, taken.until, token)
      }
    } catch (error) {
      if ((error as Error).name === 'DelayedError') throw error
      if (this.#stop.signal.aborted) await this.#later!(job, Date.now(), token)
      await this.#failed(job, asBootloomError(error))
    }
  }

  /** Tried again while that may help; then held, so that it ends. */
  async #failed(job: Job<Task>, error: BootloomError): Promise<void> {
    const { data } = job
    this.#context.log.warn({ event: 'task-failed', ...data, code: error.code, reason: error.message })
    if (data.task !== 'share') return
    if (job.attemptsMade + 1 < attempts) throw error
    await fail({ change: data.change, blueprint: data.blueprint }, error, this.#context)
  }

  async #completed(data: Task): Promise<void> {
    if (data.task !== 'share') return
    await this.#thorough(data)
    // Somebody may have had it taken up again while it ended.
    await this.wake()
  }

  /** What was promoted is woven at the thorough level, too, when there is nothing else to be done. */
  async #thorough({ change, blueprint }: PartName): Promise<void> {
    const part = await getPart(this.#context.state.redis, { change, blueprint }).catch(() => undefined)
    if (part?.state !== 'promoted' || !part.bundle) return
    const { bundle } = part
    const jobId = `thorough.${hexOf(bundle).slice(0, 16)}`
    const options = { jobId, priority: last, removeOnComplete: true, removeOnFail: true }
    await this.#queue?.add('thorough', { task: 'thorough', blueprint, bundle }, options).catch(() => {})
  }
}
