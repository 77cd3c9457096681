import { type Pin, pinsInForce } from '../../state/pins.ts'
import { pointersOfAll } from '../../state/pointers.ts'
import type { Redis } from '../../state/redis.ts'
import { runningNodes } from '../../state/running.ts'
import type { Digest } from '../../store/digest.ts'
import type { ImpactIndex, Subject } from './file-index.ts'
import type { BundleInUse } from './report.ts'

/** The bundles that matter: those that a channel points to, and those that nodes run. Sorted by blueprint and digest. */
export async function bundlesInUse(redis: Redis): Promise<Omit<BundleInUse, 'blueprint'>[]> {
  const [pointers, running] = await Promise.all([pointersOfAll(redis), runningNodes(redis)])
  const found = new Map<Digest, { channels: string[]; nodes: string[] }>()
  const of = (bundle: Digest) => {
    const known = found.get(bundle) ?? { channels: [], nodes: [] }
    found.set(bundle, known)
    return known
  }
  for (const { bundle, channel } of pointers) of(bundle).channels.push(channel)
  for (const [bundle, nodes] of running) of(bundle).nodes.push(...nodes)
  return [...found]
    .map(([digest, { channels, nodes }]) => ({ digest, channels: [...new Set(channels)], nodes: nodes.sort() }))
    .sort((a, b) => (a.digest < b.digest ? -1 : 1))
}

/** A subject of the index that is in use, with the bundles that it is in. */
export interface Standing {
  readonly subject: Subject
  readonly bundles: readonly Digest[]
  readonly channels: readonly string[]
  readonly nodes: number
  /** Those in force, by package. */
  readonly pins: ReadonlyMap<string, Pin>
}

/** Subject's number in the index → where it stands; ordered by blueprint. */
export async function standings(
  index: ImpactIndex,
  inUse: readonly Omit<BundleInUse, 'blueprint'>[],
  redis: Redis,
): Promise<ReadonlyMap<number, Standing>> {
  const pins = await pinsInForce(redis)
  const grouped = new Map<number, Omit<BundleInUse, 'blueprint'>[]>()
  for (const bundle of inUse) {
    const number = index.header.bundles[bundle.digest]
    if (number === undefined || number < 0) continue
    const group = grouped.get(number) ?? []
    group.push(bundle)
    grouped.set(number, group)
  }
  const found = [...grouped].map(([number, group]) => {
    const subject = index.header.subjects[number]!
    const own = pins.filter((pin) => pin.blueprint === subject.blueprint)
    const standing: Standing = {
      subject,
      bundles: group.map(({ digest }) => digest),
      channels: [...new Set(group.flatMap(({ channels }) => channels))].sort().reverse(),
      nodes: group.reduce((sum, { nodes }) => sum + nodes.length, 0),
      pins: new Map(own.map((pin) => [pin.package, pin])),
    }
    return [number, standing] as const
  })
  return new Map(found.sort(([, a], [, b]) => (a.subject.blueprint < b.subject.blueprint ? -1 : 1)))
}
