import { BootloomError } from '../config/errors.ts'
import type { Logger } from '../config/log.ts'
import type { Settings } from '../config/settings.ts'
import { keys } from '../state/keys.ts'
import { assignmentSchema, nodeSchema } from '../state/nodes.ts'
import { isRedisAway, parseRecord } from '../state/record.ts'
import type { Redis } from '../state/redis.ts'
import type { Digest } from '../store/digest.ts'

/** What a MAC is to do, and where that was said: on the node itself, on one of its groups, or for unknown MACs. */
export type BootAnswer = {
  /** The node's host name, where the admin gave it one. */
  readonly hostname?: string
} & (
  | {
      readonly action: 'boot'
      readonly blueprint: string
      readonly bundle: Digest
      /** Absent when the bundle is pinned. */
      readonly channel?: string
      readonly via: string
    }
  /** A blueprint is assigned, but its channel points to no bundle yet. */
  | { readonly action: 'not-ready'; readonly blueprint: string; readonly channel: string; readonly via: string }
  | { readonly action: 'unassigned' }
  | { readonly action: 'local' }
)

/** KEYS: nodes, groups. ARGV: MAC, blueprint of unknown MACs or '', prefix of the channels' keys. */
const lookUp = `
local json = redis.call('HGET', KEYS[1], ARGV[1])
local node = json and cjson.decode(json) or {}
local assignment, via = node.assignment, 'node'
if not assignment then
  for _, group in ipairs(node.groups or {}) do
    local found = redis.call('HGET', KEYS[2], group)
    assignment = found and cjson.decode(found).assignment
    if assignment then via = 'group ' .. group break end
  end
end
if not assignment and ARGV[2] ~= '' then
  assignment, via = { blueprint = ARGV[2], channel = 'stable' }, 'unknown'
end
if not assignment then return { json or '', '', '', '' } end
local bundle = assignment.bundle or redis.call('HGET', ARGV[3] .. assignment.blueprint, assignment.channel)
return { json or '', via, cjson.encode(assignment), bundle or '' }`

/** Known nodes boot on their last answer when Redis does not answer within this many milliseconds; less once it failed. */
const patience = { first: 1000, afterwards: 100 }
const maxRemembered = 20_000

/** Answers what a MAC is to boot, with one look-up in Redis, or from memory while Redis is away. */
export class Assignments {
  readonly #redis: Redis
  readonly #unknown: Settings['unknown']
  readonly #log: Logger
  readonly #remembered = new Map<string, BootAnswer>()
  #fromMemory = 0

  constructor(redis: Redis, unknown: Settings['unknown'], log: Logger) {
    this.#redis = redis
    this.#unknown = unknown
    this.#log = log
  }

  /**
   * Node's own assignment, else that of the first of its groups that has one, else the setting for unknown MACs.
   * REDIS_UNREACHABLE when Redis is away and this server has not answered this MAC before.
   */
  async resolve(mac: string): Promise<BootAnswer> {
    const remembered = this.#remembered.get(mac)
    try {
      const limit = this.#fromMemory > 0 ? patience.afterwards : patience.first
      const answer = await (remembered ? this.#within(this.#ask(mac), limit) : this.#ask(mac))
      this.#remember(mac, answer)
      if (this.#fromMemory > 0) this.#log.warn({ event: 'assignments-recovered', answeredFromMemory: this.#fromMemory })
      this.#fromMemory = 0
      return answer
    } catch (error) {
      if (!isRedisAway(error)) throw error
      if (!remembered) {
        throw new BootloomError('REDIS_UNREACHABLE', 'Redis does not answer, and this node was not seen before', {
          where: mac,
          cause: error,
        })
      }
      if (this.#fromMemory++ === 0) {
        this.#log.error({ event: 'assignments-from-memory', mac, reason: (error as Error).message })
      }
      return remembered
    }
  }

  async #ask(mac: string): Promise<BootAnswer> {
    const fallback = this.#unknown.action === 'blueprint' ? this.#unknown.blueprint : ''
    const reply = await this.#redis.eval(lookUp, 2, keys.nodes(), keys.groups(), mac, fallback, keys.channels(''))
    const [json, via, assigned, bundle] = reply as [string, string, string, Digest | '']
    const hostname = json === '' ? undefined : parseRecord(nodeSchema, json, `node ${mac}`).hostname
    const named = hostname === undefined ? {} : { hostname }
    if (assigned === '') return { ...named, action: this.#unknown.action === 'local' ? 'local' : 'unassigned' }
    const assignment = parseRecord(assignmentSchema, assigned, `assignment of ${mac}`)
    const { blueprint } = assignment
    const followed = 'channel' in assignment ? { channel: assignment.channel } : {}
    if (bundle !== '') return { ...named, action: 'boot', blueprint, bundle, ...followed, via }
    return { ...named, action: 'not-ready', blueprint, channel: followed.channel ?? '', via }
  }

  #remember(mac: string, answer: BootAnswer): void {
    this.#remembered.delete(mac)
    this.#remembered.set(mac, answer)
    if (this.#remembered.size > maxRemembered) this.#remembered.delete(this.#remembered.keys().next().value!)
  }

  #within<T>(answer: Promise<T>, milliseconds: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('Command timed out')), milliseconds)
      answer.then(resolve, reject).finally(() => clearTimeout(timer))
    })
  }
}
