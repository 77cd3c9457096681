import { join } from 'node:path'
import type { Logger } from '../config/log.ts'
import type { Settings } from '../config/settings.ts'
import { openState, type State } from '../state/redis.ts'
import { Store } from '../store/store.ts'

/** What every operation works on. */
export interface Context {
  readonly store: Store
  readonly state: State
  readonly settings: Settings
  /** The state directory. */
  readonly directory: string
  readonly log: Logger
  close(): Promise<void>
}

export async function openContext(settings: Settings, log: Logger): Promise<Context> {
  const store = await Store.open(join(settings.state, 'store'))
  const state = await openState(
    { directory: settings.state, ...(settings.redis.url === undefined ? {} : { url: settings.redis.url }) },
    log,
  )
  return { store, state, settings, directory: settings.state, log, close: () => state.close() }
}
