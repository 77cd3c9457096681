import { type PendingRequest, type PendingUpdate, pendingUpdates } from '../../repository/pending.ts'
import { readSecurity } from '../security.ts'
import type { Work } from '../work.ts'
import { buildIndex } from './build.ts'
import type { ImpactWork } from './impact.ts'
import { bundlesInUse } from './use.ts'

/** The heavy work behind questions of impact, as jobs of the workshop. */
export type ImpactJob =
  | { readonly kind: 'impact-index'; readonly rebuild: boolean }
  | { readonly kind: 'impact-pending'; readonly request: PendingRequest }
  | { readonly kind: 'impact-security'; readonly releases: readonly string[] }

export interface ImpactResults {
  'impact-index': IndexReport
  'impact-pending': PendingUpdate[]
  /** Flaws known. */
  'impact-security': number
}

/** What making the index tells. */
export interface IndexReport {
  /** Selections in use, and how many of them had to be read. */
  readonly subjects: number
  readonly read: number
  readonly seconds: number
}

export async function performImpact(
  job: ImpactJob,
  { context, progress, signal }: Work,
): Promise<ImpactResults[ImpactJob['kind']]> {
  switch (job.kind) {
    case 'impact-index': {
      const started = performance.now()
      progress({ step: 'index', detail: job.rebuild ? 'all bundles in use' : 'what is new' })
      const bundles = (await bundlesInUse(context.state.redis)).map(({ digest }) => digest)
      const built = await buildIndex(context, bundles, { rebuild: job.rebuild, signal })
      return { ...built, seconds: (performance.now() - started) / 1000 }
    }
    case 'impact-pending':
      return pendingUpdates(job.request, context, progress, signal)
    case 'impact-security':
      progress({ step: 'security data' })
      return readSecurity(context.settings.security, context.directory, job.releases, signal)
  }
}

/** The work of a question, done by whoever runs jobs. */
export function impactWork(
  run: <K extends ImpactJob['kind']>(job: Extract<ImpactJob, { kind: K }>) => Promise<ImpactResults[K]>,
): ImpactWork {
  return {
    index: (rebuild) => run({ kind: 'impact-index', rebuild }),
    pending: (request) => run({ kind: 'impact-pending', request }),
    security: (releases) => run({ kind: 'impact-security', releases }),
  }
}
