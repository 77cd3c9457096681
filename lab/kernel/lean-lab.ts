import { rm } from 'node:fs/promises'
import { parse, stringify } from 'yaml'
import type { ComposeReport } from '../../src/change/report.ts'
import type { BundleManifest } from '../../src/compose/bundle-format.ts'
import type { OnProgress } from '../../src/config/progress.ts'
import { ApiClient } from '../../src/http/api-client.ts'
import type { Digest } from '../../src/store/digest.ts'
import { Store } from '../../src/store/store.ts'
import { layOut } from '../blueprint.ts'
import { addressOf, type WatchedBoot, watchBoot } from '../boot-watch.ts'
import { fetchInside } from '../fetch.ts'
import { down, up } from '../lab.ts'
import { type LabNode, macOf, type NodeOptions, startNode } from '../node.ts'
import { type Place, paths, placeOf } from '../place.ts'
import { becomeRoot } from '../root.ts'

export type KernelOf = Readonly<Record<string, unknown>>

/** Milliseconds: an emulated node on a busy machine takes a while. */
const patience = 240_000

/** A lab for kernels. */
export class LeanLab {
  readonly place: Place
  readonly api: ApiClient
  readonly #progress: OnProgress

  private constructor(place: Place, progress: OnProgress) {
    this.place = place
    this.api = new ApiClient(paths.api(place))
    this.#progress = progress
  }

  /** The one that tests and the benchmark have by default keeps the kernels that were built for the next run. */
  static async open(settings: Readonly<Record<string, unknown>> = {}, name = 'bootloom-lean'): Promise<LeanLab> {
    await becomeRoot()
    const place = placeOf({ name })
    let told = ''
    const progress: OnProgress = ({ step, fraction = 0 }) => {
      const text = step.endsWith('kernel') ? `${step} ${Math.floor(fraction * 10) * 10} %` : step
      if (text !== told) console.error(`  ${text}`)
      told = text
    }
    // What an earlier run laid out is of the blueprints as they were then.
    await rm(paths.blueprints(place), { recursive: true, force: true })
    await up(place, { held: true, settings, progress })
    return new LeanLab(place, progress)
  }

  async close(): Promise<void> {
    await this.api.close()
    await down(this.place)
  }

  /** The digest of a bundle's kernel, and where it is. */
  async kernelOf(bundle: Digest): Promise<{ readonly digest: Digest; readonly path: string }> {
    const store = await Store.open(`${paths.state(this.place)}/store`)
    const { digest } = (await store.readJson<BundleManifest>(bundle)).layers[0]!
    return { digest, path: store.path(digest) }
  }

  /** A ready-made blueprint's bundle with this kernel; `more` goes over the blueprint. */
  async weave(
    blueprint: string,
    kernel: KernelOf,
    options: { readonly level?: 'fast' | 'thorough'; readonly full?: true; readonly replay?: false } = {},
    more: Readonly<Record<string, unknown>> = {},
  ): Promise<ComposeReport> {
    const { yaml, directory } = await layOut(this.place, blueprint)
    const edited = stringify({ ...(parse(yaml) as object), ...more, kernel })
    await this.api.request('POST', '/v1/blueprints', { yaml: edited, directory })
    const given = { level: 'fast', ...options }
    return this.api.job('POST', `/v1/blueprints/${blueprint}/compose`, given, this.#progress)
  }

  /** Powers a node on with that bundle, and waits until it is ready. */
  async boot(
    blueprint: string,
    digest: Digest,
    options: Partial<NodeOptions> = {},
  ): Promise<{ readonly node: LabNode; readonly boot: WatchedBoot; readonly since: number }> {
    const mac = macOf(options.index ?? 1)
    await this.api.request('POST', `/v1/channels/${blueprint}/candidate`, { digest })
    await this.api.request('PUT', `/v1/nodes/${mac}`, { blueprint, channel: 'candidate' })
    const since = Date.now()
    const node = await startNode(this.place, { index: 1, mac, ...options })
    try {
      return { node, since, boot: await watchBoot(this.api, node, { since, timeout: patience }) }
    } catch (error) {
      await node.stop()
      throw error
    }
  }

  fetch(boot: WatchedBoot, path = '/'): Promise<{ readonly body: string }> {
    return fetchInside(this.place.name, `http://${addressOf(boot)}${path}`, { patience: 20_000 })
  }
}
