import { z } from 'zod'
import type { Digest } from '../store/digest.ts'
import { choice, sameContent } from './choice-script.ts'
import { addingEvent } from './events.ts'
import { keys } from './keys.ts'
import { parseRecord } from './record.ts'
import type { Redis } from './redis.ts'

const digest = z.custom<Digest>((value) => typeof value === 'string' && /^sha256:[0-9a-f]{64}$/.test(value))

const triesSchema = z.array(
  z.object({
    bundle: digest,
    /** Ids of the boots in which all of the bundle was handed over and no `ready` followed. */
    boots: z.array(z.string()),
    /** Milliseconds since 1970: when the node had its last try with it. */
    gaveUp: z.number().optional(),
  }),
)

/** The bundles that a node was given and was not ready with, the newest last. */
export type Tries = z.infer<typeof triesSchema>

const runSchema = z.object({ blueprint: z.string(), bundle: digest, boot: z.string(), at: z.number() })

/** What a node last was ready with, and when (milliseconds since 1970). */
export type Run = z.infer<typeof runSchema>

/** One boot of one node with one bundle. */
interface Try {
  readonly mac: string
  readonly blueprint: string
  readonly bundle: string
  readonly boot: string
}

/** Bundles remembered for a node, boots for one of them, and nodes: beyond it, the oldest go, and no node is added. */
const most = { bundles: 8, boots: 100, nodes: 50_000 }
const readyKept = 20

/** KEYS: tries, runs. ARGV: MAC, bundle, boot, most bundles, most boots, most nodes. */
const given = `
local run = redis.call('HGET', KEYS[2], ARGV[1])
if run and cjson.decode(run).boot == ARGV[3] then return 0 end
local json = redis.call('HGET', KEYS[1], ARGV[1])
if not json and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[6]) then return 0 end
local list = json and cjson.decode(json) or {}
local one
for _, each in ipairs(list) do if each.bundle == ARGV[2] then one = each end end
if not one then
  one = { bundle = ARGV[2], boots = {} }
  list[#list + 1] = one
  if #list > tonumber(ARGV[4]) then table.remove(list, 1) end
end
for _, boot in ipairs(one.boots) do if boot == ARGV[3] then return 0 end end
if #one.boots < tonumber(ARGV[5]) then one.boots[#one.boots + 1] = ARGV[3] end
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(list))
return 1`

/** All of a bundle was handed over to a node: one of its tries, unless it reports ready. The same boot counts once. */
export async function recordGiven(redis: Redis, { mac, blueprint, bundle, boot }: Try): Promise<void> {
  const table = [keys.tries(blueprint), keys.runs()]
  await redis.eval(given, 2, ...table, mac, bundle, boot, most.bundles, most.boots, most.nodes)
}

/** KEYS: tries, runs, nodes, contents. ARGV: MAC, blueprint, bundle, run, now, key of the ready bundles, how many are kept. */
const ready = `${sameContent}
local json = redis.call('HGET', KEYS[1], ARGV[1])
if json then
  local left = {}
  for _, one in ipairs(cjson.decode(json)) do
    if contentOf(KEYS[4], one.bundle) ~= contentOf(KEYS[4], ARGV[3]) then left[#left + 1] = one end
  end
  if #left > 0 then redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(left)) else redis.call('HDEL', KEYS[1], ARGV[1]) end
end
local node = redis.call('HGET', KEYS[3], ARGV[1])
node = node and cjson.decode(node) or {}
-- A full stack to learn from is nothing to fall back to.
if node.learning and node.learning.bundle == ARGV[3] then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[4])
local places = { ARGV[6] }
for _, group in ipairs(node.groups or {}) do places[#places + 1] = ARGV[6] .. ':' .. group end
for _, place in ipairs(places) do
  redis.call('ZADD', place, 'NX', ARGV[5], ARGV[3])
  redis.call('ZREMRANGEBYRANK', place, 0, -1 - tonumber(ARGV[7]))
end
return 1`

/** A node reported ready: all tries that it had with this bundle are forgotten. */
export async function recordReady(redis: Redis, { mac, blueprint, bundle, boot }: Try, at: number): Promise<void> {
  const run = JSON.stringify({ blueprint, bundle, boot, at })
  const table = [keys.tries(blueprint), keys.runs(), keys.nodes(), keys.contents()]
  await redis.eval(ready, 4, ...table, mac, blueprint, bundle, run, at, keys.readyBundles(blueprint), readyKept)
}

/** Where the choice and its consequences are read from and written to. */
export interface ChoiceOf {
  readonly mac: string
  /** Blueprint of unknown MACs, or ''. */
  readonly unknown: string
  readonly tries: number
}

export const choiceArguments = ({ mac, unknown, tries }: ChoiceOf): (string | number)[] => [
  mac,
  unknown,
  tries,
  keys.channels(''),
  keys.tries(''),
  keys.readyBundles(''),
  keys.turns(''),
]

/** KEYS: as the choice, holds, events. ARGV: as the choice, now. Returns the events that it made, as JSON. */
const giveUp = `${choice}${addingEvent}
local _, _, assignment, assigned, given = choose()
if not assignment or assigned == '' then return {} end
local blueprint = assignment.blueprint
local json = redis.call('HGET', ARGV[5] .. blueprint, ARGV[1])
if not json then return {} end
local list, made, told, spent, count = cjson.decode(json), {}, {}, spentBy(json)
for at = #list, 1, -1 do
  local bundle = list[at].bundle
  local content = contentOf(KEYS[4], bundle)
  if spent(bundle) and not list[at].gaveUp then
    list[at].gaveUp = tonumber(ARGV[8])
    if not told[content] then
      told[content] = true
      made[#made + 1] = cjson.encode({
        event = 'node-fell-back', mac = ARGV[1], blueprint = blueprint, bundle = bundle, tries = count(bundle), given = given
      })
    end
    if bundle == assigned and assignment.channel then
      local held = redis.call('HGET', KEYS[5], blueprint)
      if not held or cjson.decode(held).bundle ~= assigned then
        local hold = { bundle = assigned, channel = assignment.channel, mac = ARGV[1], at = tonumber(ARGV[8]) }
        redis.call('HSET', KEYS[5], blueprint, cjson.encode(hold))
        hold.event, hold.blueprint, hold.at = 'channel-held', blueprint, nil
        made[#made + 1] = cjson.encode(hold)
      end
    end
  end
end
if #made == 0 then return made end
redis.call('HSET', ARGV[5] .. blueprint, ARGV[1], cjson.encode(list))
for _, event in ipairs(made) do addEvent(KEYS[6], event) end
return made`

const fallBackEvent = z.looseObject({ event: z.string() })

/**
 * Settles what follows when a node has had its tries with a bundle: marks it, puts the channel that it came by on hold,
 * and tells the event stream, all at once and once only. Returns the events.
 */
export async function settleTries(redis: Redis, of: ChoiceOf): Promise<z.infer<typeof fallBackEvent>[]> {
  const table = [keys.nodes(), keys.groups(), keys.runs(), keys.contents(), keys.holds(), keys.events()]
  const made = (await redis.eval(giveUp, 6, ...table, ...choiceArguments(of), Date.now())) as string[]
  return made.map((json) => parseRecord(fallBackEvent, json, `tries of ${of.mac}`))
}

export async function getTries(redis: Redis, blueprint: string, mac: string): Promise<Tries> {
  const json = await redis.hget(keys.tries(blueprint), mac)
  return json === null ? [] : parseRecord(triesSchema, json, `tries of ${mac}`)
}

/** The tries of every node of a blueprint that had any. */
export async function listTries(redis: Redis, blueprint: string): Promise<Map<string, Tries>> {
  const all = Object.entries(await redis.hgetall(keys.tries(blueprint)))
  return new Map(all.map(([mac, json]) => [mac, parseRecord(triesSchema, json, `tries of ${mac}`)]))
}

/** The node, or without one all nodes of the blueprint, may try everything again. */
export async function forgetTries(redis: Redis, blueprint: string, mac?: string): Promise<void> {
  await (mac === undefined ? redis.del(keys.tries(blueprint)) : redis.hdel(keys.tries(blueprint), mac))
}

/** What a node last was ready with. */
export async function getRun(redis: Redis, mac: string): Promise<Run | undefined> {
  const json = await redis.hget(keys.runs(), mac)
  return json === null ? undefined : parseRecord(runSchema, json, `run of ${mac}`)
}

/** What each node last was ready with, by its MAC. */
export async function listRuns(redis: Redis): Promise<Map<string, Run>> {
  const all = Object.entries(await redis.hgetall(keys.runs()))
  return new Map(all.map(([mac, json]) => [mac, parseRecord(runSchema, json, `run of ${mac}`)]))
}
