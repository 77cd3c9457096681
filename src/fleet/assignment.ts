import { BootloomError } from '../config/errors.ts'
import type { Logger } from '../config/log.ts'
import type { Settings } from '../config/settings.ts'
import { choice } from '../state/choice-script.ts'
import { keys } from '../state/keys.ts'
import { assignmentSchema, nodeSchema } from '../state/nodes.ts'
import { isRedisAway, parseRecord } from '../state/record.ts'
import type { Redis } from '../state/redis.ts'
import { type ChoiceOf, choiceArguments } from '../state/tries.ts'
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
      /** The bundle assigned, with which the node had its tries: `bundle` is another one, where any ever was ready. */
      readonly gaveUp?: Digest
    }
  /** A blueprint is assigned, but its channel points to no bundle yet. */
  | { readonly action: 'not-ready'; readonly blueprint: string; readonly channel: string; readonly via: string }
  | { readonly action: 'unassigned' }
  | { readonly action: 'local' }
)

const lookUp = `${choice}
local json, via, assignment, assigned, given, spent = choose()
if not assignment then return { json } end
return { json, via, cjson.encode(assignment), given, spent and assigned or '' }`

/** Known nodes boot on their last answer when Redis does not answer within this many milliseconds; less once it failed. */
const patience = { first: 1000, afterwards: 100 }
const maxRemembered = 20_000

type Chosen = Digest | ''
type FleetSettings = Pick<Settings, 'unknown' | 'fleet'>

/** As the choice of a bundle asks for it. */
export const choiceOf = (mac: string, { unknown, fleet }: FleetSettings): ChoiceOf => ({
  mac,
  unknown: unknown.action === 'blueprint' ? unknown.blueprint : '',
  tries: fleet.tries,
})

/** Answers what a MAC is to boot, with one look-up in Redis, or from memory while Redis is away. */
export class Assignments {
  readonly #redis: Redis
  readonly #settings: FleetSettings
  readonly #log: Logger
  readonly #remembered = new Map<string, BootAnswer>()
  #fromMemory = 0

  constructor(redis: Redis, settings: FleetSettings, log: Logger) {
    this.#redis = redis
    this.#settings = settings
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
    const { unknown } = this.#settings
    const table = [keys.nodes(), keys.groups(), keys.runs(), keys.contents()]
    const reply = await this.#redis.eval(lookUp, 4, ...table, ...choiceArguments(choiceOf(mac, this.#settings)))
    const [json, via = '', text = '', bundle = '', gaveUp = ''] = reply as [string, string?, string?, Chosen?, Chosen?]
    const hostname = json === '' ? undefined : parseRecord(nodeSchema, json, `node ${mac}`).hostname
    const named = hostname === undefined ? {} : { hostname }
    if (text === '') return { ...named, action: unknown.action === 'local' ? 'local' : 'unassigned' }
    const assignment = parseRecord(assignmentSchema, text, `assignment of ${mac}`)
    const { blueprint } = assignment
    const followed = 'channel' in assignment ? { channel: assignment.channel } : {}
    if (bundle === '') return { ...named, action: 'not-ready', blueprint, channel: followed.channel ?? '', via }
    return { ...named, action: 'boot', blueprint, bundle, ...followed, via, ...(gaveUp === '' ? {} : { gaveUp }) }
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
