import { listBundles } from '../state/bundles.ts'
import { channelPointers, listHolds } from '../state/channels.ts'
import { assignmentOf, listGroups } from '../state/groups.ts'
import { type Assignment, listNodes } from '../state/nodes.ts'
import type { Redis } from '../state/redis.ts'
import { listTurns } from '../state/rollouts.ts'
import { listRuns, listTries } from '../state/tries.ts'
import type { Digest } from '../store/digest.ts'
import type { Store } from '../store/store.ts'
import { sameContent } from './stale.ts'

/** How what a node runs compares with what it is assigned. Times are milliseconds since 1970. */
export interface Currency {
  /** Its own assignment, or its group's. */
  readonly assigned?: Assignment
  /** The bundle that the assignment leads to now; absent while its channel points nowhere. */
  readonly bundle?: Digest
  /** The bundle that it last reported ready with, and when. */
  readonly running?: {
    readonly blueprint: string
    readonly bundle: Digest
    readonly at: number
    readonly madeAt?: number
  }
  /** It runs something else than it is assigned. */
  readonly stale: boolean
  /** It had its tries with the bundle assigned, which is not given to it any more. */
  readonly gaveUp: boolean
  /** A bundle of its blueprint is on hold. */
  readonly held: boolean
}

/** The currency of every node that an admin named or that was ready once, by MAC. */
export async function currencies(redis: Redis, store: Store): Promise<Map<string, Currency>> {
  const [nodes, groups, runs, holds, bundles] = await Promise.all([
    listNodes(redis),
    listGroups(redis),
    listRuns(redis),
    listHolds(redis),
    listBundles(redis),
  ])
  const known = new Map(nodes.map((node) => [node.mac, node]))
  const madeAt = new Map(bundles.map(({ digest, createdAt }) => [digest, createdAt]))
  const blueprint = once(async (name) => ({
    pointers: await channelPointers(redis, name),
    tries: await listTries(redis, name),
    turns: await listTurns(redis, name),
  }))
  const same = once((pair) => {
    const [one, other] = pair.split(' ') as [Digest, Digest]
    return sameContent(store, one, other)
  })
  const found = new Map<string, Currency>()
  for (const mac of new Set([...known.keys(), ...runs.keys()])) {
    const node = known.get(mac)
    const assigned = node && assignmentOf(node, groups)
    const run = runs.get(mac)
    const of = assigned && (await blueprint(assigned.blueprint))
    const turn = of?.turns.get(mac)
    const bundle =
      assigned &&
      ('bundle' in assigned
        ? assigned.bundle
        : turn?.channel === assigned.channel
          ? turn.to
          : of?.pointers[assigned.channel])
    const tried = of?.tries.get(mac)?.find((one) => one.bundle === bundle)
    const made = run && madeAt.get(run.bundle)
    const running = run && {
      blueprint: run.blueprint,
      bundle: run.bundle,
      at: run.at,
      ...(made ? { madeAt: made } : {}),
    }
    found.set(mac, {
      ...(assigned ? { assigned } : {}),
      ...(bundle ? { bundle } : {}),
      ...(running ? { running } : {}),
      stale: run !== undefined && bundle !== undefined && !(await same(`${run.bundle} ${bundle}`)),
      gaveUp: tried?.gaveUp !== undefined,
      held: assigned !== undefined && holds.has(assigned.blueprint),
    })
  }
  return found
}

/** Asks once for each name, however many nodes share the answer. */
function once<T>(ask: (name: string) => Promise<T>): (name: string) => Promise<T> {
  const answers = new Map<string, Promise<T>>()
  return (name) => {
    const answer = answers.get(name) ?? ask(name)
    answers.set(name, answer)
    return answer
  }
}
