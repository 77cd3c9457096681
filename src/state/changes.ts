import { z } from 'zod'
import { BootloomError } from '../config/errors.ts'
import { type Digest, isDigest } from '../store/digest.ts'
import { channelNames } from './channels.ts'
import { addingEvent } from './events.ts'
import { keys } from './keys.ts'
import { parseRecord } from './record.ts'
import type { Redis } from './redis.ts'

/** How far a change has come with one blueprint, in the order of the road; `waiting`: for a maintenance window, or a rollout's end. */
const openStates = ['detected', 'woven', 'replayed', 'verified', 'waiting'] as const
/** How it ends. `superseded`: another bundle came to the candidate channel before this one was promoted. */
const endStates = ['promoted', 'held', 'unaffected', 'superseded', 'rolled-back'] as const
export type PartState = (typeof openStates)[number] | (typeof endStates)[number]

export const isOpen = ({ state }: { readonly state: PartState }): boolean =>
  (openStates as readonly string[]).includes(state)

const digest = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value))
const text = z.string()
/** Milliseconds since 1970. */
const time = z.number()

const partSchema = z.object({
  blueprint: text,
  state: z.enum([...openStates, ...endStates]),
  /** Why it ended so, or what it waits for. */
  why: text.optional(),
  /** What went wrong, where something did. */
  error: z.object({ code: text, message: text, details: z.array(text).optional() }).optional(),
  /** Whether a person may promote it as it is: nothing is wrong with it. */
  approvable: z.literal(true).optional(),
  /** Somebody approved it: neither policy nor window stands in its way. */
  approved: z.literal(true).optional(),
  /** Somebody had it taken up again: that it was taken back before is no hindrance. */
  retried: z.literal(true).optional(),
  /** Somebody asked for it: what the sources have is taken whatever the index says. */
  asked: z.literal(true).optional(),
  /** False: somebody asked not to. */
  replay: z.literal(false).optional(),
  /** Paths that differ, the first few, and how many in all. */
  impact: z.object({ files: z.number(), paths: z.array(text) }).optional(),
  /** What the blueprint had when it was first woven: what it goes back to. */
  base: z
    .object({
      bundle: digest.nullable(),
      stackDigest: digest.optional(),
      stackSources: digest.optional(),
      profileDigest: digest.optional(),
      selectionDigest: digest.optional(),
      observationDigest: digest.optional(),
      held: z.literal(true).optional(),
    })
    .optional(),
  bundle: digest.optional(),
  /** The stack that the bundle was woven of. */
  stack: digest.optional(),
  /** Names of the segments woven anew. */
  woven: z.array(text).optional(),
  /** Seconds that weaving them took, of all that the step took. */
  weaving: z.number().optional(),
  /** What verifying it found. */
  verified: z
    .object({ by: text, findings: z.array(text), notes: z.array(text), figures: z.record(text, z.number()) })
    .optional(),
  /** When it is looked at again; of `waiting`. */
  until: time.optional(),
  /** Channels that it moved, the first one first. */
  moved: z.array(
    z.object({ channel: z.enum(channelNames), from: digest.nullable(), to: digest, at: time, reason: text }),
  ),
  history: z.array(
    z.object({
      state: z.enum([...openStates, ...endStates]),
      at: time,
      /** Milliseconds that the step took. */
      took: z.number().optional(),
      note: text.optional(),
    }),
  ),
})

/** One blueprint in a change. */
export type ChangePart = Readonly<z.infer<typeof partSchema>>

const updateSchema = z.object({
  kind: text,
  name: text,
  from: text.nullable(),
  to: text,
  /** Files of the bundle that differ, as far as the index tells. */
  files: z.number(),
  /** Of the Debian source that offers it. */
  suites: z.array(text),
  /** CVEs that it has a fix of. */
  fixes: z.array(text),
  /** It stays where it is, and is new again once the pin is gone. */
  pinned: z.literal(true).optional(),
})

/** A component that comes in another version. */
export type ChangeUpdate = Readonly<z.infer<typeof updateSchema>>

const headSchema = z.object({
  at: time,
  /** `sources`: they offer something newer. `asked`: somebody asked for it. `tree`: one was edited. `composed`: by hand. */
  cause: z.enum(['sources', 'asked', 'tree', 'composed']),
})

export interface Change extends z.infer<typeof headSchema> {
  readonly id: string
  readonly parts: readonly (ChangePart & { readonly updates: readonly ChangeUpdate[] })[]
}

export type ChangeCause = Change['cause']

/** Changes kept: older ones are forgotten once all of them has ended. */
export const keptChanges = 500

/** Where a blueprint's share of a change stands: which change, which blueprint. */
export interface PartName {
  readonly change: string
  readonly blueprint: string
}

/** Names an update among those of its blueprint. */
export const fieldOf = ({ kind, name, pinned }: ChangeUpdate): string => `${pinned ? 'pinned ' : ''}${kind} ${name}`

export const nameOf = (member: string): PartName => {
  const [change = '', blueprint = ''] = member.split(' ')
  return { change, blueprint }
}

/** KEYS: parts, open, unwoven, events. ARGV: blueprint, part expected, part, id, 1 when open, 1 when unwoven, event or ''. */
const put = `${addingEvent}
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
local member = ARGV[4] .. ' ' .. ARGV[1]
if ARGV[5] == '1' then redis.call('SADD', KEYS[2], member) else redis.call('SREM', KEYS[2], member) end
if ARGV[6] == '1' then redis.call('HSETNX', KEYS[3], ARGV[1], ARGV[4])
elseif redis.call('HGET', KEYS[3], ARGV[1]) == ARGV[4] then redis.call('HDEL', KEYS[3], ARGV[1]) end
if ARGV[7] ~= '' then addEvent(KEYS[4], ARGV[7]) end
return 1`

/**
 * Changes how far a change has come with a blueprint, by what stands there now. `next` may be called more than once, so it
 * must only compute; undefined leaves all as it is. Returns what stands there then. CHANGE_UNKNOWN.
 */
export async function updatePart(
  redis: Redis,
  { change, blueprint }: PartName,
  next: (current: ChangePart) => ChangePart | undefined,
): Promise<ChangePart> {
  const key = keys.changeParts(change)
  for (let attempt = 0; attempt < 50; attempt++) {
    const json = await redis.hget(key, blueprint)
    if (json === null) throw unknown(change, blueprint)
    const current = parseRecord(partSchema, json, `${key} ${blueprint}`)
    const part = next(current)
    if (part === undefined) return current
    const event = { event: `change-${part.state}`, change, blueprint, ...(part.why ? { reason: part.why } : {}) }
    const told = part.state === current.state ? '' : JSON.stringify({ ...event, bundle: part.bundle })
    const tables = [key, keys.openChanges(), keys.unwovenChanges(), keys.events()]
    const words = [isOpen(part) ? 1 : 0, part.state === 'detected' ? 1 : 0, told]
    if ((await redis.eval(put, 4, ...tables, blueprint, json, JSON.stringify(part), change, ...words)) === 1)
      return part
  }
  throw new BootloomError('INTERNAL', 'a change kept changing while it was being changed', {
    where: `${key} ${blueprint}`,
  })
}

const unknown = (change: string, blueprint?: string) =>
  new BootloomError('CHANGE_UNKNOWN', `there is no change ${change}${blueprint ? ` of ${blueprint}` : ''}`, {
    where: change,
  })

/** CHANGE_UNKNOWN. */
export async function getPart(redis: Redis, name: PartName): Promise<ChangePart> {
  return updatePart(redis, name, () => undefined)
}

/** What the change brings to the blueprint. */
export async function updatesOf(redis: Redis, { change, blueprint }: PartName): Promise<ChangeUpdate[]> {
  const all = Object.entries(await redis.hgetall(keys.changeUpdates(change)))
  return all
    .filter(([field]) => field.startsWith(`${blueprint} `))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([field, json]) => parseRecord(updateSchema, json, `${keys.changeUpdates(change)} ${field}`))
}

/** Adds to what the change brings to the blueprint. */
export async function addUpdates(redis: Redis, name: PartName, updates: readonly ChangeUpdate[]): Promise<void> {
  if (updates.length === 0) return
  const field = (update: ChangeUpdate) => `${name.blueprint} ${fieldOf(update)}`
  const multi = redis.multi()
  for (const update of updates) {
    multi.hset(keys.changeUpdates(name.change), field(update), JSON.stringify(update))
    multi.hset(keys.seenUpdates(), field(update), update.to)
  }
  await multi.exec()
}

/** What the change brings to the blueprint may be found, and be news, again. */
export async function forgetUpdates(redis: Redis, { change, blueprint }: PartName): Promise<void> {
  const fields = (await redis.hkeys(keys.changeUpdates(change))).filter((field) => field.startsWith(`${blueprint} `))
  if (fields.length > 0) await redis.hdel(keys.seenUpdates(), ...fields)
}

/** CHANGE_UNKNOWN. */
export async function getChange(redis: Redis, id: string): Promise<Change> {
  const [head, parts, updates] = await Promise.all([
    redis.hget(keys.changes(), id),
    redis.hgetall(keys.changeParts(id)),
    redis.hgetall(keys.changeUpdates(id)),
  ])
  if (head === null) throw unknown(id)
  const own = (blueprint: string) =>
    Object.entries(updates)
      .filter(([field]) => field.startsWith(`${blueprint} `))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([field, json]) => parseRecord(updateSchema, json, `${keys.changeUpdates(id)} ${field}`))
  return {
    id,
    ...parseRecord(headSchema, head, `${keys.changes()} ${id}`),
    parts: Object.entries(parts)
      .map(([blueprint, json]) => ({
        ...parseRecord(partSchema, json, `${keys.changeParts(id)} ${blueprint}`),
        updates: own(blueprint),
      }))
      .sort((a, b) => (a.blueprint < b.blueprint ? -1 : 1)),
  }
}

/** The newest first. */
export async function listChanges(redis: Redis, count = keptChanges): Promise<Change[]> {
  const ids = (await redis.hkeys(keys.changes())).sort((a, b) => Number(b) - Number(a)).slice(0, count)
  return Promise.all(ids.map((id) => getChange(redis, id)))
}

/** Those that have not ended; the oldest first. */
export async function openParts(redis: Redis): Promise<PartName[]> {
  const members = (await redis.smembers(keys.openChanges())).map(nameOf)
  return members.sort((a, b) => Number(a.change) - Number(b.change))
}
