import { rm } from 'node:fs/promises'
import type { ComposeReport } from '../../src/change/report.ts'
import { ApiClient } from '../../src/http/api-client.ts'
import { layOut } from '../blueprint.ts'
import { down, up } from '../lab.ts'
import { type Place, paths, placeOf } from '../place.ts'
import { becomeRoot } from '../root.ts'

/** A lab with the admin API at hand. */
export interface BenchLab {
  readonly place: Place
  readonly api: ApiClient
  /** Applies a ready-made blueprint and observes it. */
  prepare(blueprint: string): Promise<{ readonly site?: string }>
  compose(blueprint: string, options: { level?: 'fast' | 'thorough'; full?: true }): Promise<ComposeReport>
}

/**
 * Runs a measurement in a lab of its own, whose state is kept for the next run. What it does is told on stderr.
 * `settings` go over the lab's own; `name` is of another lab, with a state of its own.
 */
export async function inBenchLab(
  measure: (lab: BenchLab) => Promise<void>,
  settings: Readonly<Record<string, unknown>> = {},
  name = 'bootloom-bench',
): Promise<void> {
  await becomeRoot()
  const place = placeOf({ name })
  let told = ''
  const progress = ({ step }: { step: string }) => {
    if (step !== told) console.error(`  ${step}`)
    told = step
  }
  // Laid out anew: what an earlier run had is of the blueprints as they were then.
  await rm(paths.blueprints(place), { recursive: true, force: true })
  await up(place, { held: true, settings, progress })
  const api = new ApiClient(paths.api(place))
  try {
    await measure({
      place,
      api,
      async prepare(blueprint) {
        const { yaml, directory, site } = await layOut(place, blueprint)
        await api.request('POST', '/v1/blueprints', { yaml, directory })
        await api.job('POST', `/v1/blueprints/${blueprint}/observe`, {}, progress)
        return site === undefined ? {} : { site }
      },
      compose: (blueprint, options) => api.job('POST', `/v1/blueprints/${blueprint}/compose`, options, progress),
    })
  } finally {
    await api.close()
    await down(place)
  }
}
