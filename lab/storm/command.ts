import type { OnProgress } from '../../src/config/progress.ts'
import { type PlaceOptions, placeOf } from '../place.ts'
import { becomeRoot } from '../root.ts'
import { inStormLab } from './lab.ts'
import { type StormResult, storm } from './storm.ts'
import { viewLine } from './table.ts'

export { stormTable } from './table.ts'
export type { StormResult }

export interface LabStormOptions extends PlaceOptions {
  readonly nodes: number
  readonly seed?: number
  /** Seconds. */
  readonly within?: number
  /** A ready-made blueprint; without one, a bundle of random bytes as heavy as Apache's. */
  readonly blueprint?: string
  readonly onProgress?: OnProgress
  /** The account in one line, every second. */
  readonly onView?: (line: string) => void
}

/** What `bootloom lab storm` calls: a lab of its own, a storm on it, and all of it away again, also at Ctrl-C. */
export async function labStorm(options: LabStormOptions): Promise<StormResult> {
  await becomeRoot()
  const { nodes, seed, within, blueprint, onProgress, onView } = options
  const abort = new AbortController()
  const onSignal = () => abort.abort()
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.on(signal, onSignal)
  try {
    const lab = {
      ...(blueprint === undefined ? {} : { blueprint }),
      ...(onProgress === undefined ? {} : { progress: onProgress }),
      signal: abort.signal,
    }
    return await inStormLab(placeOf(options), lab, (api) =>
      storm(placeOf(options), api, {
        nodes,
        ...(seed === undefined ? {} : { seed }),
        ...(within === undefined ? {} : { within }),
        onView: (account) => onView?.(viewLine(account, nodes)),
        signal: abort.signal,
      }),
    )
  } finally {
    for (const signal of signals) process.off(signal, onSignal)
  }
}
