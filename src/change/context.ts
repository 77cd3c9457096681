import { join } from 'node:path'
import { BootloomError } from '../config/errors.ts'
import type { Logger } from '../config/log.ts'
import type { Settings } from '../config/settings.ts'
import { replaceSharedStore, sharedStore } from '../state/installation.ts'
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

/** STORE_FOREIGN, REDIS_UNREACHABLE. */
export async function openContext(settings: Settings, log: Logger): Promise<Context> {
  const store = await Store.open(join(settings.state, 'store'))
  const state = await openState(
    { directory: settings.state, ...(settings.redis.url === undefined ? {} : { url: settings.redis.url }) },
    log,
  )
  try {
    await requireSharedStore(store, state, settings, log)
  } catch (error) {
    await state.close()
    throw error
  }
  return { store, state, settings, directory: settings.state, log, close: () => state.close() }
}

/**
 * What Redis names must be in the store. Servers that share a Redis share the directory, too: STORE_FOREIGN for one that has
 * another. A server's own Redis knows no other server, so there another store is one that was put in its place.
 */
async function requireSharedStore(store: Store, { redis }: State, settings: Settings, log: Logger): Promise<void> {
  const own = await store.identity()
  const shared = await sharedStore(redis, own)
  if (shared === own) return
  if (settings.redis.url === undefined) {
    await replaceSharedStore(redis, own)
    log.warn({ event: 'store-replaced', directory: store.directory, before: shared, now: own })
    return
  }
  throw new BootloomError('STORE_FOREIGN', 'the other servers on this Redis have another store', {
    where: store.directory,
    details: [`this one is ${own}`, `theirs is ${shared}`],
  })
}
