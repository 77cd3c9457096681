import type { Logger } from '../config/log.ts'
import { watchTree } from '../repository/watch.ts'
import { listBlueprints } from '../state/blueprints.ts'
import { addEvent } from '../state/events.ts'
import { appliedBlueprint, stackOf } from './applied.ts'
import type { Context } from './context.ts'
import type { Workshop } from './workshop.ts'

/**
 * Watches the trees of all applied blueprints. A settled change is woven and published at the fast level; the thorough
 * level follows when the tree has been quiet. Changes that come while one is under way are taken up together after it.
 */
export class TreeWatch {
  readonly #context: Context
  readonly #workshop: Workshop
  readonly #log: Logger
  readonly #onChange: () => void
  readonly #watched = new Map<string, { readonly trees: string; readonly stop: AbortController }>()
  readonly #busy = new Map<string, 'once' | 'again'>()
  #thorough = new Map<string, AbortController>()

  /** `onChange`: a change may have been opened. */
  constructor(context: Context, workshop: Workshop, onChange: () => void) {
    this.#onChange = onChange
    this.#context = context
    this.#workshop = workshop
    this.#log = context.log
  }

  /** Brings what is watched in line with what is applied. */
  async sync(): Promise<void> {
    for (const { name } of await listBlueprints(this.#context.state.redis)) {
      const { blueprint } = await appliedBlueprint(this.#context, name)
      const paths = stackOf(blueprint).flatMap((source) => ('tree' in source ? [source.tree.path] : []))
      const trees = paths.join('\0')
      const before = this.#watched.get(name)
      if (before?.trees === trees) continue
      before?.stop.abort()
      const stop = new AbortController()
      this.#watched.set(name, { trees, stop })
      for (const path of paths) await watchTree(path, () => void this.#changed(name), stop.signal)
      // A change made while nobody watched counts too.
      if (paths.length > 0) void this.#changed(name)
    }
  }

  close(): void {
    for (const { stop } of this.#watched.values()) stop.abort()
    for (const abort of this.#thorough.values()) abort.abort()
    this.#watched.clear()
  }

  async #changed(name: string): Promise<void> {
    if (this.#busy.has(name)) {
      this.#busy.set(name, 'again')
      return
    }
    this.#thorough.get(name)?.abort()
    do {
      this.#busy.set(name, 'once')
      await this.#refresh(name)
    } while (this.#busy.get(name) === 'again')
    this.#busy.delete(name)
  }

  async #refresh(name: string): Promise<void> {
    try {
      const bundle = await this.#workshop.run({ kind: 'refresh', blueprint: name })
      if (bundle) void this.#follow(name)
      else this.#onChange()
    } catch (error) {
      const reason = (error as Error).message
      this.#log.error({ event: 'refresh-failed', blueprint: name, reason })
      await addEvent(this.#context.state.redis, { event: 'refresh-failed', blueprint: name, reason }).catch(() => {})
    }
  }

  async #follow(name: string): Promise<void> {
    const abort = new AbortController()
    this.#thorough.set(name, abort)
    try {
      await this.#workshop.run({ kind: 'compose', blueprint: name }, undefined, abort.signal)
    } catch (error) {
      if (!abort.signal.aborted)
        this.#log.error({ event: 'thorough-failed', blueprint: name, reason: (error as Error).message })
    } finally {
      if (this.#thorough.get(name) === abort) this.#thorough.delete(name)
    }
  }
}
