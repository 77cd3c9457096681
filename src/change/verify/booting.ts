import { powerOf } from '../../fleet/power/power.ts'
import { isHeard, orderNode } from '../../fleet/reboot.ts'
import { addEvent } from '../../state/events.ts'
import { getOrder, removeOrder } from '../../state/orders.ts'
import type { Context } from '../context.ts'

interface BootingOptions {
  /** Milliseconds since 1970: orders from before it are not about this. */
  readonly since: number
  /** Milliseconds that all of it may take. */
  readonly deadline: number
}

/** Has one node boot anew: by an order that its agent takes, else by its power controller; once by each. */
export class Booting {
  readonly #context: Pick<Context, 'state' | 'settings' | 'log'>
  readonly #mac: string
  readonly #options: BootingOptions
  #way: 'order' | 'power' | 'nobody' | undefined

  constructor(context: Pick<Context, 'state' | 'settings' | 'log'>, mac: string, options: BootingOptions) {
    this.#context = context
    this.#mac = mac
    this.#options = options
  }

  /** To be called until the node has begun to boot; a power controller that fails is told of, and that is all. */
  async tell(): Promise<void> {
    const { since, deadline } = this.#options
    // An order that nobody takes: the application runs, and the agent does not.
    if (this.#way === 'order' && Date.now() - since > deadline / 2) await this.#cycle()
    if (this.#way !== undefined) return
    if (await this.#order()) this.#way = 'order'
    else await this.#cycle()
    const { state, log } = this.#context
    const event = { event: 'canary-told', mac: this.#mac, by: this.#way }
    await addEvent(state.redis, event)
    log.info(event)
  }

  async #order(): Promise<boolean> {
    const { redis } = this.#context.state
    const left = await getOrder(redis, this.#mac)
    // Left by a server that died since.
    if (left && left.do !== 'drift' && left.at >= this.#options.since) return true
    if (!(await isHeard(redis, this.#mac, this.#context.settings.fleet.heartbeat))) return false
    return (await orderNode(redis, this.#mac, 'reboot-full')) !== undefined
  }

  async #cycle(): Promise<void> {
    const { state, log } = this.#context
    this.#way = 'nobody'
    try {
      const power = await powerOf(state.redis, this.#mac)
      if (!power) return
      this.#way = 'power'
      await removeOrder(state.redis, this.#mac)
      await power.act('cycle')
    } catch (error) {
      log.warn({ event: 'canary-not-cycled', mac: this.#mac, reason: (error as Error).message })
    }
  }
}
