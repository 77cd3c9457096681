import { isForeign } from '../blueprint/parse.ts'
import type { OnProgress } from '../config/progress.ts'
import type { PartName } from '../state/changes.ts'
import type { Digest } from '../store/digest.ts'
import { appliedBlueprint } from './applied.ts'
import type { Context } from './context.ts'
import { type Draft, type DraftRequest, draftBlueprint } from './draft.ts'
import { composeForeign } from './foreign.ts'
import { weaveForHardware } from './hardware-weave.ts'
import { type ImpactJob, type ImpactResults, performImpact } from './impact/jobs.ts'
import { buildKernel } from './kernel-job.ts'
import { type LearnedJob, takeLearned } from './learn.ts'
import { type ObserveOptions, observeBlueprint } from './observe.ts'
import { type Taken, takeRoad } from './pipeline/road.ts'
import { weaveThoroughly } from './pipeline/thorough.ts'
import type { ComposeReport, LeanReport, ObserveReport, UpdateReport } from './report.ts'
import { updateBlueprintStack } from './update.ts'
import { composeBlueprint, refreshBlueprint, type WeaveOptions } from './weave.ts'
import { type WeighJob, weighBundle } from './weigh/weigh.ts'
import type { Weight } from './weigh/weight.ts'

/** Work for the workshop, mostly by the blueprint it is on. */
export type Job =
  | { readonly kind: 'update'; readonly blueprint: string }
  | ({ readonly kind: 'observe'; readonly blueprint: string } & ObserveOptions)
  | ({ readonly kind: 'compose'; readonly blueprint: string } & Omit<WeaveOptions, 'reason'>)
  | ({ readonly kind: 'learned'; readonly blueprint: string } & LearnedJob)
  | { readonly kind: 'refresh'; readonly blueprint: string }
  | { readonly kind: 'kernel'; readonly blueprint: string }
  | ({ readonly kind: 'draft' } & DraftRequest)
  | ({ readonly kind: 'change' } & PartName)
  | { readonly kind: 'thorough'; readonly blueprint: string; readonly bundle: Digest }
  | ({ readonly kind: 'weigh' } & WeighJob)
  | { readonly kind: 'drivers'; readonly blueprint: string }
  | ImpactJob

export type JobKind = Job['kind']

interface Results extends ImpactResults {
  update: UpdateReport
  observe: ObserveReport
  learned: ObserveReport
  compose: ComposeReport
  /** null: nothing had changed. */
  refresh: ComposeReport | null
  kernel: LeanReport
  draft: Draft
  change: Taken
  thorough: undefined
  weigh: Weight
  /** null: its bundle has them all. */
  drivers: ComposeReport | null
}

export type JobResult<K extends JobKind> = Results[K]

export async function perform(
  context: Context,
  job: Job,
  progress: OnProgress,
  signal: AbortSignal,
): Promise<Results[JobKind]> {
  const work = { context, progress, signal }
  switch (job.kind) {
    case 'update':
      return updateBlueprintStack(job.blueprint, work)
    case 'observe':
      return observeBlueprint(job.blueprint, job, work)
    case 'compose': {
      const { blueprint, record } = await appliedBlueprint(context, job.blueprint)
      if (isForeign(blueprint)) return composeForeign({ blueprint, record }, work)
      return composeBlueprint(job.blueprint, { ...job, reason: 'composed' }, work)
    }
    case 'learned':
      return takeLearned(job.blueprint, job, work)
    case 'refresh':
      return refreshBlueprint(job.blueprint, work)
    case 'kernel':
      return buildKernel(job.blueprint, work)
    case 'draft':
      return draftBlueprint(job, work)
    case 'change':
      return takeRoad({ change: job.change, blueprint: job.blueprint }, work)
    case 'thorough':
      await weaveThoroughly(job.blueprint, job.bundle, work)
      return undefined
    case 'drivers':
      return weaveForHardware(job.blueprint, work)
    case 'weigh':
      return weighBundle(job, work)
    case 'impact-index':
    case 'impact-pending':
    case 'impact-security':
      return performImpact(job, work)
  }
}
