import { BootloomError } from '../../src/config/errors.ts'
import type { OnProgress } from '../../src/config/progress.ts'
import { ApiClient } from '../../src/http/api-client.ts'
import { layOut } from '../blueprint.ts'
import { down, status, up } from '../lab.ts'
import { type Place, paths } from '../place.ts'
import { stormSubnet } from './network.ts'
import { apacheWeights, publishSynthetic, synthetic, type Weights } from './synthetic.ts'

export interface StormLabOptions {
  /** What the nodes boot: a ready-made blueprint, or without one a bundle of random bytes. */
  readonly blueprint?: string
  readonly weights?: Weights
  /** Merged over the lab's settings. */
  readonly settings?: Readonly<Record<string, unknown>>
  readonly progress?: OnProgress
  readonly signal?: AbortSignal
}

/** Brings a lab up for nodes that nobody named, gives them something to boot, and takes it down after the work. */
export async function inStormLab<T>(
  place: Place,
  options: StormLabOptions,
  work: (api: ApiClient) => Promise<T>,
): Promise<T> {
  const { blueprint = synthetic, weights = apacheWeights, settings, progress = () => {}, signal } = options
  if ((await status(place)).up) {
    throw new BootloomError('LAB_IN_USE', `the lab ${place.name} is up`, {
      hint: 'Take it down with `bootloom lab down`, or name another with --name.',
    })
  }
  const own = { dhcp: { subnets: [stormSubnet] }, unknown: { action: 'blueprint', blueprint } }
  await up(place, { held: true, settings: { ...own, ...settings }, progress, ...(signal ? { signal } : {}) })
  const api = new ApiClient(paths.api(place))
  try {
    progress({ step: 'bundle', detail: blueprint })
    if (blueprint === synthetic) await publishSynthetic(place, api, weights)
    else await makeReady(place, api, blueprint, progress)
    return await work(api)
  } finally {
    await api.close()
    await down(place)
  }
}

/** Observes and weaves a ready-made blueprint, unless an earlier run of this lab has. */
async function makeReady(place: Place, api: ApiClient, blueprint: string, progress: OnProgress): Promise<void> {
  const { yaml, directory } = await layOut(place, blueprint)
  await api.request('POST', '/v1/blueprints', { yaml, directory })
  const channels = await api.request<{ stable?: unknown }>('GET', `/v1/channels/${blueprint}`)
  if (channels.stable) return
  await api.job('POST', `/v1/blueprints/${blueprint}/observe`, {}, progress)
  await api.job('POST', `/v1/blueprints/${blueprint}/compose`, { level: 'thorough' }, progress)
}
