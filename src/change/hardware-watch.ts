import { assignmentOf, listGroups } from '../state/groups.ts'
import { forgetHardwareNews, hardwareNews } from '../state/hardware.ts'
import { listNodes } from '../state/nodes.ts'
import type { Context } from './context.ts'
import type { Workshop } from './workshop.ts'

/** Milliseconds between looks, and at most until what failed is tried again. */
const sweepEvery = 5000
const longestPause = 600_000

/**
 * Has a blueprint looked at when one of its nodes told of devices that were not known of it, or was assigned anew. What
 * nodes told stands in Redis, told by whichever server they asked; nothing that powers on waits for it.
 */
export class HardwareWatch {
  readonly #context: Context
  readonly #workshop: Workshop
  readonly #sweep: NodeJS.Timeout
  readonly #failed = new Map<string, { readonly pause: number; readonly until: number }>()
  #busy: Promise<void> | undefined

  constructor(context: Context, workshop: Workshop) {
    this.#context = context
    this.#workshop = workshop
    this.#sweep = setInterval(() => this.#look(), sweepEvery).unref()
  }

  close(): void {
    clearInterval(this.#sweep)
  }

  #look(): void {
    this.#busy ??= this.#takeNews()
      .catch(({ message: reason }: Error) => this.#context.log.warn({ event: 'hardware-not-looked-at', reason }))
      .finally(() => {
        this.#busy = undefined
      })
  }

  /** A rack that told of itself is looked at once for each blueprint; what fails, or is killed, is looked at again. */
  async #takeNews(): Promise<void> {
    const { redis } = this.#context.state
    const news = await hardwareNews(redis)
    if (news.size === 0) return
    const [nodes, groups] = await Promise.all([listNodes(redis), listGroups(redis)])
    const blueprintOf = new Map(nodes.map((node) => [node.mac, assignmentOf(node, groups)?.blueprint]))
    for (const [blueprint, told] of Map.groupBy(news, ([mac]) => blueprintOf.get(mac))) {
      if (blueprint === undefined || (await this.#weave(blueprint))) await forgetHardwareNews(redis, new Map(told))
    }
  }

  /** False when it could not be done, or is not tried yet again. */
  async #weave(blueprint: string): Promise<boolean> {
    const failed = this.#failed.get(blueprint)
    if (failed && performance.now() < failed.until) return false
    try {
      await this.#workshop.run({ kind: 'drivers', blueprint })
      this.#failed.delete(blueprint)
      return true
    } catch (error) {
      const pause = Math.min((failed?.pause ?? sweepEvery) * 2, longestPause)
      this.#failed.set(blueprint, { pause, until: performance.now() + pause })
      const { message: reason } = error as Error
      this.#context.log.warn({ event: 'hardware-not-woven', blueprint, reason, again: pause / 1000 })
      return false
    }
  }
}
