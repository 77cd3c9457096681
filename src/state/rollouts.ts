import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { Digest } from '../store/digest.ts'
import { channelNames } from './channels.ts'
import { keys } from './keys.ts'
import { parseRecord, updateRecord } from './record.ts'
import type { Redis } from './redis.ts'

const digest = z.custom<Digest>((value) => typeof value === 'string' && /^sha256:[0-9a-f]{64}$/.test(value))

const rolloutSchema = z.object({
  id: z.string(),
  blueprint: z.string(),
  /** The nodes that follow it are rolled out to; it moves when all are. */
  channel: z.enum(channelNames),
  from: digest,
  to: digest,
  /** Nodes at once, behind the first one. */
  batch: z.number(),
  /** It stops when so many nodes did not come up. */
  maxFailures: z.number(),
  /** Seconds that a node has from being told until it is ready, and each command. */
  deadline: z.number(),
  /** Run on the server before a node is told, and once it is ready. */
  drain: z.string().optional(),
  undrain: z.string().optional(),
  /** Through the firmware, though the nodes could do without. */
  full: z.boolean(),
  /** `returning`: what was moved is brought back; then it is `stopped` or `aborted`. */
  state: z.enum(['running', 'paused', 'returning', 'done', 'stopped', 'aborted']),
  ending: z.enum(['stopped', 'aborted']).optional(),
  reason: z.string().optional(),
  /** Milliseconds since 1970. */
  startedAt: z.number(),
  endedAt: z.number().optional(),
})

/** A bundle on its way to the nodes that follow a channel. */
export type Rollout = Readonly<z.infer<typeof rolloutSchema>>

const nodeSchema = z.object({
  mac: z.string(),
  /** Its place in the order of the nodes, from 0. */
  place: z.number(),
  /** To the new bundle, or back to the old one. */
  way: z.enum(['out', 'back']),
  step: z.enum(['waiting', 'drain', 'boot', 'undrain', 'done', 'skipped', 'lost']),
  /** Milliseconds since 1970: when this step began. */
  since: z.number(),
  /** It was given the new bundle. */
  told: z.boolean(),
  /** Why it did not come up with the new bundle. */
  failed: z.string().optional(),
  /** Why it was passed over, or is lost. */
  reason: z.string().optional(),
  /** It was power-cycled on this way. */
  cycled: z.boolean().optional(),
  /** Milliseconds since 1970: when it was about to be, as long as nothing is known of what came of it. */
  cycling: z.number().optional(),
})

/** How far one node is in a rollout. */
export type RolloutNode = Readonly<z.infer<typeof nodeSchema>>

/** Why a channel moved whose nodes have all come up: in its history. */
export const rolledOut = 'rolled out'

export const isUnderWay = ({ state }: Rollout): boolean => ['running', 'paused', 'returning'].includes(state)

/** KEYS: rollouts, nodes, turns. ARGV: blueprint, rollout, then MAC and node of each. 0 when one is under way. */
const start = `
local found = redis.call('HGET', KEYS[1], ARGV[1])
local state = found and cjson.decode(found).state
if state == 'running' or state == 'paused' or state == 'returning' then return 0 end
redis.call('DEL', KEYS[2], KEYS[3])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
for i = 3, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
return 1`

/** In place of one that is over; false when one of the blueprint is under way. */
export async function putRollout(redis: Redis, rollout: Rollout, nodes: readonly RolloutNode[]): Promise<boolean> {
  const { blueprint } = rollout
  const table = [keys.rollouts(), keys.rolloutNodes(blueprint), keys.turns(blueprint)]
  const rows = nodes.flatMap((node) => [node.mac, JSON.stringify(node)])
  return (await redis.eval(start, 3, ...table, blueprint, JSON.stringify(rollout), ...rows)) === 1
}

export async function getRollout(redis: Redis, blueprint: string): Promise<Rollout | undefined> {
  const json = await redis.hget(keys.rollouts(), blueprint)
  return json === null ? undefined : parseRecord(rolloutSchema, json, `rollout of ${blueprint}`)
}

/** The newest first. */
export async function listRollouts(redis: Redis): Promise<Rollout[]> {
  const all = Object.entries(await redis.hgetall(keys.rollouts()))
  return all
    .map(([blueprint, json]) => parseRecord(rolloutSchema, json, `rollout of ${blueprint}`))
    .sort((a, b) => b.startedAt - a.startedAt)
}

/** In their order. */
export async function listRolloutNodes(redis: Redis, blueprint: string): Promise<RolloutNode[]> {
  const all = Object.entries(await redis.hgetall(keys.rolloutNodes(blueprint)))
  return all
    .map(([mac, json]) => parseRecord(nodeSchema, json, `${mac} in the rollout of ${blueprint}`))
    .sort((a, b) => a.place - b.place)
}

/** Changes a rollout that is there by what it is now; `change` may be called more than once, so it must only compute. */
export function updateRollout(redis: Redis, of: Rollout, change: (current: Rollout) => Rollout): Promise<Rollout> {
  return updateRecord(redis, keys.rollouts(), of.blueprint, rolloutSchema, (current) => change(current ?? of))
}

/** Milliseconds after which a driver that says nothing is taken for dead. */
const lease = 4_000

/** The right to drive a rollout: undefined while somebody else has it. */
export async function takeRollout(redis: Redis, blueprint: string): Promise<string | undefined> {
  const token = randomBytes(12).toString('hex')
  return (await redis.set(keys.rolloutDriver(blueprint), token, 'PX', lease, 'NX')) === null ? undefined : token
}

/** KEYS: driver. ARGV: token, lease; 0 gives the right back. */
const renew = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then redis.call('DEL', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1`

/** False when somebody else drives it by now. */
export async function keepRollout(redis: Redis, blueprint: string, token: string): Promise<boolean> {
  return (await redis.eval(renew, 1, keys.rolloutDriver(blueprint), token, lease)) === 1
}

export async function leaveRollout(redis: Redis, blueprint: string, token: string): Promise<void> {
  await redis.eval(renew, 1, keys.rolloutDriver(blueprint), token, 0)
}

/** KEYS: driver, nodes, turns. ARGV: token, MAC, node, turn ('' for none). */
const move = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
if ARGV[4] == '' then redis.call('HDEL', KEYS[3], ARGV[2]) else redis.call('HSET', KEYS[3], ARGV[2], ARGV[4]) end
return 1`

/** Writes how far a node is, and at once what it is given from now on. False when somebody else drives by now. */
export async function putRolloutNode(
  redis: Redis,
  { blueprint, channel, to }: Rollout,
  token: string,
  node: RolloutNode,
): Promise<boolean> {
  const table = [keys.rolloutDriver(blueprint), keys.rolloutNodes(blueprint), keys.turns(blueprint)]
  const turn = node.told && node.way === 'out' ? `${channel} ${to}` : ''
  return (await redis.eval(move, 3, ...table, token, node.mac, JSON.stringify(node), turn)) === 1
}

/** KEYS: driver, turns, rollouts. ARGV: token, blueprint, id, state, reason or '', now. */
const end = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local json = redis.call('HGET', KEYS[3], ARGV[2])
local rollout = json and cjson.decode(json)
if not rollout or rollout.id ~= ARGV[3] then return 0 end
rollout.state, rollout.endedAt = ARGV[4], tonumber(ARGV[6])
if ARGV[5] ~= '' then rollout.reason = ARGV[5] end
redis.call('HSET', KEYS[3], ARGV[2], cjson.encode(rollout))
redis.call('DEL', KEYS[2])
return 1`

/** It is over: from now on every node gets what its channel points to. False when somebody else drives by now. */
export async function endRollout(
  redis: Redis,
  { blueprint, id }: Rollout,
  token: string,
  state: 'done' | 'stopped' | 'aborted',
  reason = '',
): Promise<boolean> {
  const table = [keys.rolloutDriver(blueprint), keys.turns(blueprint), keys.rollouts()]
  return (await redis.eval(end, 3, ...table, token, blueprint, id, state, reason, Date.now())) === 1
}

/** The bundles that nodes get in place of what their channel points to, by MAC; of the channel named. */
export async function listTurns(
  redis: Redis,
  blueprint: string,
): Promise<Map<string, { channel: string; to: Digest }>> {
  const all = Object.entries(await redis.hgetall(keys.turns(blueprint)))
  return new Map(
    all.map(([mac, text]) => {
      const [channel = '', to] = text.split(' ')
      return [mac, { channel, to: to as Digest }]
    }),
  )
}
