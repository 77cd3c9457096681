import { setTimeout as sleep } from 'node:timers/promises'
import { BootloomError } from '../config/errors.ts'
import type { OnProgress } from '../config/progress.ts'
import { Bundles } from '../fleet/bundles.ts'
import { bootsOf } from '../state/boots.ts'
import { addEvent } from '../state/events.ts'
import { forgetLearned, listLearned } from '../state/learned.ts'
import { getNode, type Learning, listNodes, updateNode } from '../state/nodes.ts'
import { forgetTries, getTries } from '../state/tries.ts'
import type { Context } from './context.ts'
import type { ComposeReport, ObserveReport } from './report.ts'
import type { Workshop } from './workshop.ts'

export interface LessonOptions {
  /** Until it ends by itself; without it, until it is stopped. */
  readonly seconds?: number | undefined
  readonly fresh?: boolean | undefined
}

interface Lesson {
  readonly mac: string
  readonly learning: Learning
}

/** Milliseconds: what a node touched has reached the server by then (boot/native/learn.c looks every 2 s, tells every 1 s). */
const lastWords = 4000
const sweepEvery = 5000

/**
 * Nodes that learn: each boots the full stack of a blueprint instead of what it is assigned, until it was told enough.
 * All of it stands in Redis, so it goes on when this server ends, and any server ends it.
 */
export class Lessons {
  readonly #context: Context
  readonly #workshop: Workshop
  readonly #ending = new Map<string, Promise<ObserveReport>>()
  #sweep: NodeJS.Timeout | undefined

  constructor(context: Context, workshop: Workshop) {
    this.#context = context
    this.#workshop = workshop
  }

  /** From now on, ends those whose time is over. */
  watch(): void {
    this.#sweep = setInterval(() => {
      this.#endOverdue().catch(({ message: reason }: Error) =>
        this.#context.log.warn({ event: 'learning-not-ended', reason }),
      )
    }, sweepEvery).unref()
  }

  close(): void {
    clearInterval(this.#sweep)
  }

  /**
   * Weaves the full stack, and only then gives it to the node, which boots it at its next start. One that learns for the
   * blueprint already goes on. NODE_LEARNS, NODE_TOO_SMALL.
   */
  async begin(
    blueprint: string,
    mac: string,
    { seconds, fresh }: LessonOptions,
    onProgress: OnProgress,
    signal: AbortSignal,
  ) {
    const { redis } = this.#context.state
    const until = seconds === undefined ? {} : { until: Date.now() + seconds * 1000 }
    const before = (await getNode(redis, mac))?.learning
    if (before && before.blueprint !== blueprint) {
      throw new BootloomError('NODE_LEARNS', `${mac} learns for ${before.blueprint}`, { where: mac })
    }
    if (before) return this.#give({ mac, learning: { ...before, ...until } })
    const job = { kind: 'compose', blueprint, full: true, learns: true, level: 'fast' } as const
    const woven = await this.#workshop.run(job, onProgress, signal)
    await this.#requireRoom(mac, woven)
    const { config } = await new Bundles(this.#context.store).get(woven.digest)
    if (config.level === 'foreign') throw new BootloomError('INTERNAL', 'a full stack is none of ours')
    const { stack } = config.inputs
    await forgetLearned(redis, mac)
    await forgetTries(redis, blueprint, mac)
    const learning = {
      blueprint,
      bundle: woven.digest,
      stack,
      since: Date.now(),
      ...until,
      ...(fresh ? { fresh } : {}),
    }
    await addEvent(redis, { event: 'node-learns', mac, blueprint, bundle: woven.digest })
    return this.#give({ mac, learning })
  }

  /**
   * Tells how it goes, and each path as it is touched if that is wanted, until it is over; then what was found. The signal
   * ends the telling, not the learning. LEARNING_FAILED.
   */
  async follow(lesson: Lesson, watch: boolean, onProgress: OnProgress, signal: AbortSignal): Promise<ObserveReport> {
    const { mac } = lesson
    const told = new Set<string>()
    for (; ; await sleep(500, undefined, { signal })) {
      const learning = (await getNode(this.#context.state.redis, mac))?.learning
      if (learning?.since !== lesson.learning.since || isOver(learning)) return this.end(lesson)
      await this.#requireHope({ mac, learning })
      const paths = await listLearned(this.#context.state.redis, mac)
      for (const { path, how, process } of watch ? paths : []) {
        if (told.has(path)) continue
        told.add(path)
        onProgress({ step: 'touched', detail: process === '' ? path : `${path}  ${how} by ${process}` })
      }
      onProgress({ step: await this.#stepOf({ mac, learning }), detail: `${paths.length} findings` })
    }
  }

  /** Adds what was found to the profile; the node boots what it is assigned at its next start. */
  end({ mac, learning }: Lesson): Promise<ObserveReport> {
    const name = `${mac} ${learning.since}`
    const known = this.#ending.get(name)
    if (known) return known
    const ending = this.#end({ mac, learning })
    this.#ending.set(name, ending)
    // Whoever follows asks within a second; a failure may be tried again.
    ending.then(
      () => setTimeout(() => this.#ending.delete(name), 60_000).unref(),
      () => this.#ending.delete(name),
    )
    return ending
  }

  /** Ends those of a blueprint, or the one of a node. LEARNING_OVER when there is none. */
  async stop(blueprint: string, mac?: string): Promise<ObserveReport[]> {
    const lessons = (await this.#all()).filter(
      (one) => one.learning.blueprint === blueprint && (mac === undefined || one.mac === mac),
    )
    if (lessons.length === 0) throw new BootloomError('LEARNING_OVER', `no node learns for ${blueprint}`)
    const reports: ObserveReport[] = []
    for (const lesson of lessons) reports.push(await this.end(lesson))
    return reports
  }

  async #end({ mac, learning }: Lesson): Promise<ObserveReport> {
    const { redis } = this.#context.state
    const [boot] = await bootsOf(redis, mac, 1)
    if (boot?.bundle === learning.bundle && boot.outcome === 'ready') await sleep(lastWords)
    const report = await this.#workshop.run({ kind: 'learned', blueprint: learning.blueprint, mac, learning })
    await this.#undo({ mac, learning })
    await addEvent(redis, { event: 'node-learned', mac, blueprint: learning.blueprint, paths: report.paths })
    return report
  }

  async #give(lesson: Lesson): Promise<Lesson> {
    const { mac, learning } = lesson
    await updateNode(this.#context.state.redis, mac, (current) => ({ groups: [], ...current, mac, learning }))
    return lesson
  }

  async #undo({ mac, learning }: Lesson): Promise<void> {
    const { redis } = this.#context.state
    if ((await getNode(redis, mac))?.learning?.since !== learning.since) return
    await updateNode(redis, mac, (current) => {
      const { learning: _over, ...rest } = current ?? { mac, groups: [] }
      return rest
    })
    await forgetLearned(redis, mac)
    await forgetTries(redis, learning.blueprint, mac)
  }

  async #all(): Promise<Lesson[]> {
    const nodes = await listNodes(this.#context.state.redis)
    return nodes.flatMap(({ mac, learning }) => (learning ? [{ mac, learning }] : []))
  }

  async #endOverdue(): Promise<void> {
    for (const lesson of await this.#all()) if (isOver(lesson.learning)) await this.end(lesson)
  }

  /** Half of a node's memory holds files, each in whole pages. What it has is known once it was ready with something. */
  async #requireRoom(mac: string, { totals: { raw, files } }: ComposeReport): Promise<void> {
    const boots = await bootsOf(this.#context.state.redis, mac)
    const has = boots.flatMap(({ stages }) => stages.flatMap(({ memTotal }) => memTotal ?? []))[0]
    const needs = (raw + files * 2048) * 2
    if (has === undefined || needs <= has) return
    const [want, have] = [needs, has].map((bytes) => `${Math.ceil(bytes / 1e6)} MB`)
    throw new BootloomError('NODE_TOO_SMALL', `the full stack wants a node with ${want}, and ${mac} has ${have}`, {
      where: mac,
    })
  }

  /** As often as a node may try, it may fail. */
  async #requireHope(lesson: Lesson): Promise<void> {
    const { mac, learning } = lesson
    const { state, settings } = this.#context
    const tries = (await getTries(state.redis, learning.blueprint, mac)).find(
      ({ bundle }) => bundle === learning.bundle,
    )
    if (!tries || tries.boots.length < settings.fleet.tries) return
    const boots = await bootsOf(state.redis, mac)
    const last = boots.find(({ bundle, outcome }) => bundle === learning.bundle && outcome)
    // The last try may still be under way.
    if (!last || !tries.boots.every((id) => boots.some((boot) => boot.id === id && boot.outcome))) return
    await this.#undo(lesson)
    throw new BootloomError('LEARNING_FAILED', `${mac} did not come up: ${last.reason ?? 'it said nothing'}`, {
      where: mac,
      details: last.lines ?? [],
    })
  }

  async #stepOf({ mac, learning }: Lesson): Promise<string> {
    const [boot] = await bootsOf(this.#context.state.redis, mac, 1)
    if (boot?.bundle !== learning.bundle) return `waiting for ${mac} to start`
    return boot.outcome === 'ready' ? `learning on ${mac}` : `${mac} starts`
  }
}

const isOver = ({ until }: Learning): boolean => until !== undefined && until <= Date.now()
