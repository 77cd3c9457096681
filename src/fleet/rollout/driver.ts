import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../../config/log.ts'
import type { Settings } from '../../config/settings.ts'
import { channelPointers, moveChannel } from '../../state/channels.ts'
import { addEvent, type Event } from '../../state/events.ts'
import type { Redis } from '../../state/redis.ts'
import {
  endRollout,
  getRollout,
  isUnderWay,
  keepRollout,
  leaveRollout,
  listRolloutNodes,
  listRollouts,
  putRolloutNode,
  type Rollout,
  type RolloutNode,
  rolledOut,
  takeRollout,
  updateRollout,
} from '../../state/rollouts.ts'
import type { Store } from '../../store/store.ts'
import { forgetCommands } from './command.ts'
import { type StepChange, stepNode } from './node-step.ts'

interface DriverContext {
  readonly redis: Redis
  readonly store: Store
  readonly settings: Pick<Settings, 'fleet' | 'state'>
  readonly log: Logger
  /** One is over: what it kept from its channel may come. */
  readonly onEnded?: (blueprint: string) => void
}

/** Milliseconds between two looks at a rollout, and for rollouts that nobody drives. */
const looks = { own: 500, others: 1000 }

const isActive = ({ step }: RolloutNode): boolean => step === 'drain' || step === 'boot' || step === 'undrain'

/**
 * Drives rollouts: one server of all that share a Redis at a time, each from what stands there, so that another one goes on
 * where it died. What it writes is refused once another one drives (docs/decisions/0025).
 */
export class RolloutDriver {
  readonly #context: DriverContext
  readonly #stop = new AbortController()
  readonly #driving = new Map<string, Promise<void>>()
  readonly #looking: Promise<void>

  constructor(context: DriverContext) {
    this.#context = context
    this.#looking = this.#look()
  }

  /** What is under way stays as it is, for the next server. */
  async close(): Promise<void> {
    this.#stop.abort()
    await this.#looking
    await Promise.all(this.#driving.values())
  }

  async #look(): Promise<void> {
    const { redis, log } = this.#context
    while (!this.#stop.signal.aborted) {
      try {
        for (const rollout of await listRollouts(redis)) {
          const { blueprint } = rollout
          if (!isUnderWay(rollout) || this.#driving.has(blueprint)) continue
          const token = await takeRollout(redis, blueprint)
          if (token === undefined) continue
          const driving = this.#drive(blueprint, token)
            .catch((error: Error) => log.error({ event: 'rollout-interrupted', blueprint, reason: error.message }))
            .finally(() => this.#driving.delete(blueprint))
          this.#driving.set(blueprint, driving)
        }
      } catch (error) {
        log.debug({ event: 'rollouts-unknown', reason: (error as Error).message })
      }
      await this.#pause(looks.others)
    }
  }

  async #drive(blueprint: string, token: string): Promise<void> {
    const { redis } = this.#context
    const lost = new AbortController()
    const signal = AbortSignal.any([this.#stop.signal, lost.signal])
    const drive = new Drive(this.#context, token, signal)
    try {
      while (!signal.aborted && (await keepRollout(redis, blueprint, token))) {
        const rollout = await getRollout(redis, blueprint)
        if (!rollout || !isUnderWay(rollout)) break
        await drive.advance(rollout)
        // At once where something is done, for the next thing may follow from it.
        await Promise.race([this.#pause(looks.own), drive.changed()])
      }
    } finally {
      lost.abort()
      await drive.settled()
      await leaveRollout(redis, blueprint, token).catch(() => {})
    }
  }

  async #pause(milliseconds: number): Promise<void> {
    await sleep(milliseconds, undefined, { signal: this.#stop.signal }).catch(() => {})
  }
}

/** One rollout while this server drives it. */
class Drive {
  readonly #context: DriverContext
  readonly #token: string
  readonly #signal: AbortSignal
  /** Nodes whose step is under way here. */
  readonly #busy = new Map<string, Promise<void>>()
  #change = Promise.withResolvers<void>()

  constructor(context: DriverContext, token: string, signal: AbortSignal) {
    this.#context = context
    this.#token = token
    this.#signal = signal
  }

  /** Resolves when a node was brought further since the last look. */
  changed(): Promise<void> {
    return this.#change.promise
  }

  async settled(): Promise<void> {
    await Promise.all(this.#busy.values())
  }

  /** Looks at all of it once, and begins what is to be done. */
  async advance(rollout: Rollout): Promise<void> {
    this.#change = Promise.withResolvers()
    const { redis } = this.#context
    const nodes = await listRolloutNodes(redis, rollout.blueprint)
    const pointer = (await channelPointers(redis, rollout.blueprint))[rollout.channel]
    if (pointer !== rollout.from && pointer !== rollout.to) {
      // Whoever moved it wants something else than this rollout or its undoing.
      return this.#end(rollout, 'stopped', `${rollout.channel} was moved to another bundle meanwhile`)
    }
    const failed = nodes.filter((node) => node.failed !== undefined)
    // The first one that fails is reason enough while none has come up.
    const none = !nodes.some(({ way, step }) => way === 'out' && step === 'done')
    const most = none ? 1 : rollout.maxFailures
    if (rollout.state !== 'returning' && failed.length >= most) {
      const reason = `${failed.length} of ${nodes.length} nodes did not come up, first ${failed[0]!.mac}: ${failed[0]!.failed}`
      await this.#tell({ event: 'rollout-stopped', blueprint: rollout.blueprint, bundle: rollout.to, reason })
      await updateRollout(redis, rollout, (now) => ({ ...now, state: 'returning', ending: 'stopped', reason }))
      return
    }
    if (rollout.state === 'returning') await this.#turnBack(rollout, nodes)
    const now = await listRolloutNodes(redis, rollout.blueprint)
    for (const node of now) if (isActive(node) && !this.#busy.has(node.mac)) this.#step(rollout, node)
    if (!now.some(isActive)) await this.#nextBatch(rollout, now)
  }

  /** Nodes on their way out turn round at once; those that arrived come in batches, as they went. */
  async #turnBack(rollout: Rollout, nodes: readonly RolloutNode[]): Promise<void> {
    for (const node of nodes) {
      if (node.way === 'back' || !isActive(node) || this.#busy.has(node.mac)) continue
      await this.#put(rollout, node, { way: 'back', step: node.told ? 'boot' : 'undrain', cycled: false })
    }
  }

  async #nextBatch(rollout: Rollout, nodes: readonly RolloutNode[]): Promise<void> {
    if (rollout.state === 'paused') return
    const returning = rollout.state === 'returning'
    const left = nodes.filter(({ step, way }) => (returning ? way === 'out' && step === 'done' : step === 'waiting'))
    if (left.length === 0) return returning ? this.#end(rollout, rollout.ending ?? 'stopped') : this.#finish(rollout)
    // The first one alone: it is the one that finds out.
    const first = !returning && nodes.every(({ step }) => step === 'waiting' || step === 'skipped')
    for (const node of left.slice(0, first ? 1 : rollout.batch)) {
      await this.#put(rollout, node, returning ? { way: 'back', step: 'drain', cycled: false } : { step: 'drain' })
    }
  }

  async #finish(rollout: Rollout): Promise<void> {
    const { blueprint, channel, from, to } = rollout
    const { redis } = this.#context
    const pointer = (await channelPointers(redis, blueprint))[channel]
    if (pointer !== to) {
      await moveChannel(redis, { blueprint, channel, digest: to, expected: from, reason: rolledOut })
      await this.#tell({ event: 'channel-moved', blueprint, channel, bundle: to, reason: rolledOut })
    }
    await this.#end(rollout, 'done')
  }

  async #end(rollout: Rollout, state: 'done' | 'stopped' | 'aborted', reason?: string): Promise<void> {
    const { blueprint, to: bundle } = rollout
    if (!(await endRollout(this.#context.redis, rollout, this.#token, state, reason))) return
    await forgetCommands(this.#context.settings.state, rollout.id)
    await this.#tell({ event: `rollout-${state === 'stopped' ? 'undone' : state}`, blueprint, bundle })
    this.#context.onEnded?.(blueprint)
  }

  #step(rollout: Rollout, node: RolloutNode): void {
    const { redis, store, log, settings } = this.#context
    const record = async (change: NonNullable<StepChange>) => {
      now = { ...now, ...change }
      if (!(await putRolloutNode(redis, rollout, this.#token, now))) throw new Error('somebody else drives')
    }
    let now = node
    const { heartbeat } = settings.fleet
    const context = { redis, store, log, heartbeat, signal: this.#signal, state: settings.state, record }
    const step = stepNode(context, rollout, node)
      .then((change) => this.#put(rollout, now, change))
      .catch((error: Error) => {
        // Redis is away, or a power controller does not answer: looked at again.
        if (!this.#signal.aborted) log.warn({ event: 'rollout-step-failed', mac: node.mac, reason: error.message })
      })
      .finally(() => this.#busy.delete(node.mac))
    this.#busy.set(node.mac, step)
  }

  async #put(rollout: Rollout, node: RolloutNode, change: StepChange): Promise<void> {
    if (!change || this.#signal.aborted) return
    const since = change.step === undefined ? node.since : Date.now()
    // What was begun belongs to the step.
    const begun = change.step === undefined ? {} : { cycling: undefined }
    const next: RolloutNode = { ...node, since, ...begun, ...change }
    if (!(await putRolloutNode(this.#context.redis, rollout, this.#token, next))) return
    this.#change.resolve()
    const { mac, way, step, failed, reason } = next
    const bad = (failed !== undefined && node.failed === undefined) || step === 'lost'
    if (!bad && step !== 'done' && step !== 'skipped') return
    const { blueprint, to: bundle } = rollout
    const why = bad || step === 'skipped' ? { reason: reason ?? failed } : {}
    await this.#tell({ event: 'rollout-node', mac, blueprint, bundle, way, step: bad ? 'failed' : step, ...why })
  }

  async #tell(event: Event): Promise<void> {
    await addEvent(this.#context.redis, event)
    this.#context.log.info(event)
  }
}
