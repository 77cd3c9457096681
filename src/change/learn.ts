import { layersOf } from '../blueprint/layers.ts'
import type { ObservationRecord } from '../blueprint/observe/observe.ts'
import { Touched } from '../blueprint/observe/touched.ts'
import type { Profile } from '../blueprint/profile.ts'
import type { Stack } from '../repository/stack.ts'
import { type Learned, listLearned } from '../state/learned.ts'
import type { Learning } from '../state/nodes.ts'
import { type AppliedWoven, wovenBlueprint } from './applied.ts'
import { allComponentsOf, keepObservation } from './observe.ts'
import type { ObserveReport } from './report.ts'
import type { Work } from './work.ts'

export interface LearnedJob {
  readonly mac: string
  readonly learning: Learning
}

/** Adds what a node told while it learned to the blueprint's profile. Doing it twice changes nothing. */
export async function takeLearned(name: string, { mac, learning }: LearnedJob, work: Work): Promise<ObserveReport> {
  const { context, progress } = work
  progress({ step: 'read', detail: `what ${mac} touched` })
  const applied = await wovenBlueprint(context, name)
  const touched = await touchedBy(await listLearned(context.state.redis, mac), applied, learning, work)
  const seconds = (Date.now() - learning.since) / 1000
  const { stack, fresh } = learning
  const profile: Profile = { blueprint: name, stack, methods: ['node'], paths: touched.paths() }
  const record: ObservationRecord = {
    stack,
    seconds: { copy: 0, start: 0, workload: seconds, stop: 0, read: 0, total: seconds },
    methods: profile.methods,
    counts: touched.counts(),
    probe: { detail: `by ${mac}` },
    workload: [],
    stopped: 'by signal',
    exits: {},
    first: touched.first(),
    gone: [],
    absent: {},
  }
  return keepObservation(applied, { profile, record }, { fresh }, work)
}

async function touchedBy(
  learned: readonly Learned[],
  applied: AppliedWoven,
  learning: Learning,
  work: Work,
): Promise<Touched> {
  const stack = await work.context.store.readJson<Stack>(learning.stack)
  const touched = new Touched(layersOf(await allComponentsOf(applied, stack, work)).world)
  for (const { path, how, process } of learned) {
    if (how === 'read') continue
    const by = process === '' ? undefined : { process, call: how, error: undefined }
    touched.named({ path, touch: how, followLast: false, creates: false, fresh: false }, by)
  }
  // A time that moved tells nothing of what was opened.
  for (const { path, how } of learned) if (how === 'read') touched.read(path)
  return touched
}
