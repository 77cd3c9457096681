import type { Logger } from '../config/log.ts'
import type { State } from '../state/redis.ts'
import type { Store } from '../store/store.ts'

/** What the repository works with. */
export interface RepositoryContext {
  readonly store: Store
  readonly state: State
  /** The state directory: roots of stacks, apt's lists and locks stand below it. */
  readonly directory: string
  readonly log: Logger
}
