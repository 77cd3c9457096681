import { assignmentOf, listGroups } from '../state/groups.ts'
import { forgetHardwareNews, hardwareNews } from '../state/hardware.ts'
import { listNodes } from '../state/nodes.ts'
import type { Context } from './context.ts'
import type { Workshop } from './workshop.ts'

const sweepEvery = 5000

/**
 * Has a blueprint looked at when one of its nodes told of devices that were not known of it, or was assigned anew. What
 * nodes told stands in Redis, told by whichever server they asked; nothing that powers on waits for it.
 */
export class HardwareWatch {
  readonly #context: Context
  readonly #workshop: Workshop
  readonly #sweep: NodeJS.Timeout
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

  /** A rack that told of itself is looked at once for each blueprint. */
  async #takeNews(): Promise<void> {
    const { redis } = this.#context.state
    const news = new Set(await hardwareNews(redis))
    if (news.size === 0) return
    // What comes while it is looked at is looked at again.
    await forgetHardwareNews(redis, [...news])
    const [nodes, groups] = await Promise.all([listNodes(redis), listGroups(redis)])
    const concerned = nodes.flatMap((node) => (news.has(node.mac) ? (assignmentOf(node, groups)?.blueprint ?? []) : []))
    for (const blueprint of new Set(concerned)) await this.#workshop.run({ kind: 'drivers', blueprint })
  }
}
