import {
  type ChangeCause,
  type ChangePart,
  type ChangeUpdate,
  fieldOf,
  isOpen,
  keptChanges,
  nameOf,
  type PartName,
} from './changes.ts'
import { addingEvent } from './events.ts'
import { keys } from './keys.ts'
import type { Redis } from './redis.ts'

/** A blueprint that a new change is about. */
export interface OpenedPart {
  readonly part: ChangePart
  readonly updates: readonly ChangeUpdate[]
  /** Also where all of its updates are known from an earlier change. */
  readonly always?: boolean
}

/**
 * KEYS: count, changes, open, unwoven, seen, events. ARGV: head, parts, prefixes of the keys of parts and of updates, kept.
 * Records stay the text that they came as: cjson would make an object of every empty list.
 */
const open = `${addingEvent}
local id
local answer = {}
for _, one in ipairs(cjson.decode(ARGV[2])) do
  local news = {}
  for _, update in ipairs(one.updates) do
    local field = one.blueprint .. ' ' .. update.field
    if one.always or redis.call('HGET', KEYS[5], field) ~= update.version then news[#news + 1] = update end
  end
  if #news > 0 or one.always then
    local into = one.joins and redis.call('HGET', KEYS[4], one.blueprint)
    if not into then
      if not id then
        id = tostring(redis.call('INCR', KEYS[1]))
        redis.call('HSET', KEYS[2], id, ARGV[1])
      end
      into = id
      redis.call('HSET', ARGV[3] .. into, one.blueprint, one.json)
      if one.open then redis.call('SADD', KEYS[3], into .. ' ' .. one.blueprint) end
      if one.joins then redis.call('HSET', KEYS[4], one.blueprint, into) end
      addEvent(KEYS[6], cjson.encode({ event = 'change-' .. one.state, change = into, blueprint = one.blueprint }))
    end
    for _, update in ipairs(news) do
      local field = one.blueprint .. ' ' .. update.field
      redis.call('HSET', KEYS[5], field, update.version)
      redis.call('HSET', ARGV[4] .. into, field, update.json)
    end
    answer[#answer + 1] = into .. ' ' .. one.blueprint
  end
end
local old = id and tostring(tonumber(id) - tonumber(ARGV[5]))
if old and redis.call('HEXISTS', KEYS[2], old) == 1 then
  local ended = true
  for _, blueprint in ipairs(redis.call('HKEYS', ARGV[3] .. old)) do
    ended = ended and redis.call('SISMEMBER', KEYS[3], old .. ' ' .. blueprint) == 0
  end
  if ended then
    redis.call('HDEL', KEYS[2], old)
    redis.call('DEL', ARGV[3] .. old, ARGV[4] .. old)
  end
end
return answer`

/**
 * Opens a change, all of it at once. Updates that an earlier change was about already are left out, and with them
 * blueprints for which there is nothing else; what a blueprint that was not woven yet gets joins the change that it is
 * in. Returns where each of the blueprints is now; none when there was nothing new.
 */
export async function openChange(
  redis: Redis,
  cause: ChangeCause,
  parts: readonly OpenedPart[],
  now = Date.now(),
): Promise<PartName[]> {
  const request = parts.map(({ part, updates, always }) => ({
    blueprint: part.blueprint,
    state: part.state,
    open: isOpen(part),
    joins: part.state === 'detected',
    always: always ?? false,
    json: JSON.stringify(part),
    updates: updates.map((update) => ({
      field: fieldOf(update),
      version: update.to,
      json: JSON.stringify(update),
    })),
  }))
  const tables = [keys.changeCount(), keys.changes(), keys.openChanges(), keys.unwovenChanges()]
  const answer = (await redis.eval(
    open,
    6,
    ...tables,
    keys.seenUpdates(),
    keys.events(),
    JSON.stringify({ at: now, cause }),
    JSON.stringify(request),
    keys.changeParts(''),
    keys.changeUpdates(''),
    keptChanges,
  )) as string[]
  return answer.map(nameOf)
}
