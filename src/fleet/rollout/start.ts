import { randomBytes } from 'node:crypto'
import { BootloomError } from '../../config/errors.ts'
import { type ChannelName, channelPointers } from '../../state/channels.ts'
import { assignmentOf, listGroups } from '../../state/groups.ts'
import { listNodes } from '../../state/nodes.ts'
import { listHeard } from '../../state/orders.ts'
import type { Redis } from '../../state/redis.ts'
import { putRollout, type Rollout, type RolloutNode } from '../../state/rollouts.ts'
import { forgetTries } from '../../state/tries.ts'
import type { Digest } from '../../store/digest.ts'
import type { Store } from '../../store/store.ts'
import { sameContent } from '../stale.ts'

/** What an admin asks for. */
export interface RolloutRequest
  extends Pick<Rollout, 'blueprint' | 'channel' | 'to' | 'maxFailures' | 'deadline' | 'full'> {
  /** Nodes, or a share of them such as `10%`. */
  readonly batch: string
  readonly drain?: string | undefined
  readonly undrain?: string | undefined
  /** The node that goes first; else one that was heard of lately. */
  readonly canary?: string | undefined
}

/**
 * Begins a rollout; whoever drives goes on with it. ROLLOUT_UNFIT when there is nothing to do, ROLLOUT_UNDER_WAY while
 * another one of the blueprint is.
 */
export async function startRollout(redis: Redis, store: Store, request: RolloutRequest): Promise<Rollout> {
  const { blueprint, channel, to, batch, canary, drain, undrain, ...rest } = request
  const from = (await channelPointers(redis, blueprint))[channel]
  if (!from) throw unfit(blueprint, `${channel} points to no bundle that could be gone back to`)
  if (await sameContent(store, from, to)) throw unfit(blueprint, `${channel} points to that bundle already`)
  const macs = await followers(redis, blueprint, channel)
  if (macs.length === 0) throw unfit(blueprint, `no node follows ${channel} of it`)
  if (canary !== undefined && !macs.includes(canary)) throw unfit(blueprint, `${canary} does not follow ${channel}`)
  const now = Date.now()
  const rollout: Rollout = {
    id: randomBytes(8).toString('hex'),
    blueprint,
    channel,
    from,
    to,
    batch: batchOf(batch, macs.length),
    ...rest,
    ...(drain ? { drain } : {}),
    ...(undrain ? { undrain } : {}),
    state: 'running',
    startedAt: now,
  }
  const first = canary === undefined ? macs : [canary, ...macs.filter((mac) => mac !== canary)]
  const nodes = first.map((mac, place): RolloutNode => {
    return { mac, place, way: 'out', step: 'waiting', since: now, told: false }
  })
  if (!(await putRollout(redis, rollout, nodes))) {
    throw new BootloomError('ROLLOUT_UNDER_WAY', `${blueprint} is being rolled out`, { where: blueprint })
  }
  // Whoever rolls it out wants it tried, also where it was given up before.
  for (const mac of macs) await forgetTries(redis, blueprint, mac)
  return rollout
}

/** The nodes that follow a channel, those that were heard of last first. */
async function followers(redis: Redis, blueprint: string, channel: ChannelName): Promise<string[]> {
  const [nodes, groups, heard] = await Promise.all([listNodes(redis), listGroups(redis), listHeard(redis)])
  const following = nodes.filter((node) => {
    // It boots a full stack for the time being, and takes what it is assigned when that is over.
    if (node.learning) return false
    const assignment = assignmentOf(node, groups)
    return assignment?.blueprint === blueprint && 'channel' in assignment && assignment.channel === channel
  })
  const minute = (mac: string) => Math.floor((heard.get(mac) ?? 0) / 60_000)
  return following.map(({ mac }) => mac).sort((a, b) => minute(b) - minute(a) || (a < b ? -1 : 1))
}

function batchOf(text: string, nodes: number): number {
  const [, number, percent] = /^(\d{1,6})(%?)$/.exec(text) ?? []
  const batch = percent ? Math.ceil((nodes * Math.min(100, Number(number))) / 100) : Number(number)
  if (batch >= 1) return batch
  throw new BootloomError('USAGE', `"${text}" is no batch`, { hint: 'Take a number of nodes, or a share such as 10%.' })
}

const unfit = (blueprint: string, why: string) => new BootloomError('ROLLOUT_UNFIT', why, { where: blueprint })

/** The bundle that a name stands for: a channel's. Undefined when it is no channel. ROLLOUT_UNFIT when it points nowhere. */
export async function bundleOfChannel(redis: Redis, blueprint: string, name: ChannelName): Promise<Digest> {
  const digest = (await channelPointers(redis, blueprint))[name]
  if (digest) return digest
  throw unfit(blueprint, `${name} points to no bundle`)
}
