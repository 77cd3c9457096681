import { Redis, type RedisOptions } from 'ioredis'
import { BootloomError } from '../config/errors.ts'
import type { Logger } from '../config/log.ts'
import { EmbeddedRedis } from './embedded.ts'

export type { Redis }

export interface StateSettings {
  /** Where the embedded Redis keeps its socket and its append-only file. */
  readonly directory: string
  /** A Redis of the admin's; without it, Bootloom runs one of its own. */
  readonly url?: string
}

export interface State {
  readonly redis: Redis
  close(): Promise<void>
}

/** Opens the mutable state: the admin's Redis by its URL, or the embedded one, started when it does not run yet. */
export async function openState(settings: StateSettings, log: Logger): Promise<State> {
  const embedded = settings.url === undefined ? await EmbeddedRedis.attach(settings.directory, log) : undefined
  const redis = embedded ? new Redis({ path: embedded.socket, ...patience }) : new Redis(settings.url!, patience)
  redis.on('error', (error: Error) => log.error({ event: 'redis-error', reason: error.message }))
  try {
    await redis.connect()
  } catch (error) {
    redis.disconnect()
    await embedded?.release()
    throw new BootloomError('REDIS_UNREACHABLE', 'Redis does not answer', {
      where: settings.url === undefined ? embedded!.socket : withoutCredentials(settings.url),
      cause: error,
    })
  }
  return {
    redis,
    async close() {
      redis.disconnect()
      await embedded?.release()
    },
  }
}

/** Commands fail within seconds when Redis is away, instead of waiting for it; connections come back by themselves. */
const patience = {
  lazyConnect: true,
  connectTimeout: 3000,
  commandTimeout: 3000,
  maxRetriesPerRequest: 1,
  retryStrategy: (attempt: number) => Math.min(attempt * 100, 2000),
}

/**
 * A connection of a queue's own, to the same Redis: it waits for Redis as long as that is away, and blocks for as long as
 * there is no job. Its owner ends it.
 */
export function queueConnection({ redis }: State, log: Logger): Redis {
  const waiting = { lazyConnect: false, commandTimeout: undefined, maxRetriesPerRequest: null }
  const connection = redis.duplicate(waiting as unknown as RedisOptions)
  connection.on('error', (error: Error) => log.error({ event: 'redis-error', reason: error.message }))
  return connection
}

function withoutCredentials(url: string): string {
  const parsed = new URL(url)
  return `${parsed.protocol}//${parsed.host}${parsed.pathname}`
}
