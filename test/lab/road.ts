import { readFile, rm, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { parse, stringify } from 'yaml'
import { layOut } from '../../lab/blueprint.ts'
import { type WatchedBoot, watchBoot } from '../../lab/boot-watch.ts'
import { down, startBoot, up } from '../../lab/lab.ts'
import { type LabNode, type NodeOptions, startNode } from '../../lab/node.ts'
import { type Place, paths, placeOf } from '../../lab/place.ts'
import { runningAs } from '../../lab/processes.ts'
import type { ComposeReport, ObserveReport } from '../../src/change/report.ts'
import { ApiClient } from '../../src/http/api-client.ts'
import { end } from '../../src/machine/process.ts'

/** Milliseconds: an emulated node on a busy machine takes a while. */
const bootTimeout = 240_000

/** A lab of the tests' own, with the admin API at hand, brought up with nothing in it. */
export class Road {
  readonly place: Place
  readonly api: ApiClient

  private constructor(place: Place) {
    this.place = place
    this.api = new ApiClient(paths.api(place))
  }

  /** `settings` go over the lab's own. */
  static async open(name: string, settings: Readonly<Record<string, unknown>> = {}): Promise<Road> {
    const place = placeOf({ name: `bootloom-${name}-${process.pid}` })
    await up(place, { held: true, settings })
    return new Road(place)
  }

  async close(): Promise<void> {
    await this.api.close()
    await down(this.place)
    await rm(this.place.directory, { recursive: true, force: true })
  }

  /** Ends the server that answers nodes and starts it again with these settings over its own. */
  async restart(settings: Readonly<Record<string, unknown>>): Promise<void> {
    const file = paths.settings(this.place)
    await writeFile(file, stringify({ ...parse(await readFile(file, 'utf8')), ...settings }))
    await end(runningAs(this.place, 'boot')!, 10_000)
    await startBoot(this.place)
  }

  /** A ready-made blueprint, applied; `edit` changes its YAML first. Returns the directory of its site. */
  async apply(name: string, edit = (yaml: string) => yaml): Promise<string | undefined> {
    const { yaml, directory, site } = await layOut(this.place, name)
    await this.api.request('POST', '/v1/blueprints', { yaml: edit(yaml), directory })
    return site
  }

  observe(name: string): Promise<ObserveReport> {
    return this.api.job('POST', `/v1/blueprints/${name}/observe`, {}, () => {})
  }

  compose(name: string, options: { level?: 'fast' | 'thorough' } = {}): Promise<ComposeReport> {
    return this.api.job('POST', `/v1/blueprints/${name}/compose`, options, () => {})
  }

  async assign(mac: string, blueprint: string, channel: 'stable' | 'candidate' = 'stable'): Promise<void> {
    await this.api.request('PUT', `/v1/nodes/${mac}`, { blueprint, channel })
  }

  /** Powers a node on and waits until it reports ready; LAB_FAILED when it reports that it failed. */
  async boot(options: NodeOptions): Promise<{ node: LabNode; boot: WatchedBoot }> {
    const since = Date.now()
    const node = await startNode(this.place, options)
    return { node, boot: await this.ready(node, since) }
  }

  ready(node: LabNode, since: number): Promise<WatchedBoot> {
    return watchBoot(this.api, node, { since, timeout: bootTimeout })
  }

  /** The newest event of this name that is younger than `since` (milliseconds since 1970). */
  async event<T>(name: string, since: number, timeout: number): Promise<T & { readonly at: number }> {
    for (const began = Date.now(); Date.now() - began < timeout; await sleep(50)) {
      const events = await this.api.request<{ event: string; at: number }[]>('GET', '/v1/events?count=50')
      const found = events.findLast(({ event, at }) => event === name && at >= since)
      if (found) return found as unknown as T & { at: number }
    }
    throw new Error(`no event ${name} within ${timeout} ms`)
  }

  log(what: 'boot' | 'control'): Promise<string> {
    return readFile(paths.log(this.place, what), 'utf8')
  }
}
