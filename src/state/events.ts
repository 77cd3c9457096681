import { z } from 'zod'
import { keys } from './keys.ts'
import { parseRecord } from './record.ts'
import type { Redis } from './redis.ts'

const eventSchema = z.looseObject({ event: z.string() })

/** Something that happened, for people and for whoever follows along: a name and fields, as in the log. */
export interface Event {
  readonly event: string
  readonly [field: string]: unknown
}

export interface StoredEvent extends Event {
  /** Of the Redis stream: where to go on reading. */
  readonly id: string
  /** Milliseconds since 1970. */
  readonly at: number
}

const kept = 10_000

/** Lua: `addEvent(key of the events, JSON)`, for scripts that change something and tell of it at once. */
export const addingEvent = `
local function addEvent(key, json) redis.call('XADD', key, 'MAXLEN', '~', ${kept}, '*', 'json', json) end
`

export async function addEvent(redis: Redis, event: Event): Promise<string | null> {
  return redis.xadd(keys.events(), 'MAXLEN', '~', kept, '*', 'json', JSON.stringify(event))
}

/** The newest events, oldest of them first. */
export async function latestEvents(redis: Redis, count: number): Promise<StoredEvent[]> {
  const entries = await redis.xrevrange(keys.events(), '+', '-', 'COUNT', count)
  return entries.map(storedEvent).reverse()
}

/** Events as they come, from now on or from after the id given, until the signal ends it. Holds a connection. */
export async function* followEvents(redis: Redis, signal: AbortSignal, after = '$'): AsyncGenerator<StoredEvent> {
  // Its own connection, since a blocking read would hold up every other command; blocked is not timed out.
  const connection = redis.duplicate({ commandTimeout: 60_000, lazyConnect: true })
  connection.on('error', () => {})
  const stop = () => connection.disconnect()
  signal.addEventListener('abort', stop, { once: true })
  try {
    await connection.connect()
    let from = after === '$' ? await newestId(connection) : after
    while (!signal.aborted) {
      const reply = await connection.xread('COUNT', 100, 'BLOCK', 5000, 'STREAMS', keys.events(), from)
      for (const entry of reply?.[0]?.[1] ?? []) {
        from = entry[0]
        yield storedEvent(entry)
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    signal.removeEventListener('abort', stop)
    connection.disconnect()
  }
}

/** `$` would be taken anew at each read and lose what came in between. */
async function newestId(redis: Redis): Promise<string> {
  const [newest] = await redis.xrevrange(keys.events(), '+', '-', 'COUNT', 1)
  return newest?.[0] ?? '0'
}

function storedEvent([id, fields]: [id: string, fields: string[]]): StoredEvent {
  const event = parseRecord(eventSchema, fields[1] ?? '', `event ${id}`)
  return { ...event, id, at: Number(id.split('-')[0]) }
}
