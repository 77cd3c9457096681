import { type Answer, difference } from '../answer.ts'
import type { ObservationRecord } from '../observe/observe.ts'

/** One step that went another way than in the full stack. */
export interface Difference {
  /** The step in words; `start` for all that came before the workload, `stop` for what came after. */
  readonly step: string
  readonly detail: string
  /** It may be that the full stack would not answer the same twice either. */
  readonly suspected?: true
}

interface Answered {
  readonly detail: string
  readonly answer?: Answer
}

/** How a run went: as far as its end, or as far as what ended it. */
export type Ran =
  | {
      readonly failed?: undefined
      readonly probe: Answered
      readonly workload: readonly (Answered & { readonly step: string })[]
      readonly stopped: ObservationRecord['stopped']
      readonly exits: ObservationRecord['exits']
    }
  | { readonly failed: string; readonly probe?: undefined }

/** `again`: the full stack, run another time; what differs between the two runs of it is not compared. */
export function compareRuns(expected: ObservationRecord, ran: Ran, again?: ObservationRecord): Difference[] {
  if (ran.failed !== undefined) return [{ step: 'run', detail: ran.failed }]
  const found: Difference[] = []
  const compare = (step: string, before: Answered, now: Answered, other: Answered | undefined) => {
    if (!before.answer || !now.answer) return
    const detail = difference(before.answer, now.answer, other?.answer)
    if (detail !== undefined) found.push({ step, detail, ...(again ? {} : { suspected: true as const }) })
  }
  compare('probe', expected.probe, ran.probe, again?.probe)
  for (const [index, now] of ran.workload.entries()) {
    const before = expected.workload[index]
    if (before) compare(now.step, before, now, again?.workload[index])
  }
  for (const [job, status] of Object.entries(ran.exits)) {
    const before = expected.exits[job]
    if (before === undefined || before === status || (again && again.exits[job] !== before)) continue
    const detail = `ended with exit status ${status}, not ${before}`
    found.push({ step: job, detail, ...(again ? {} : { suspected: true as const }) })
  }
  if (ran.stopped !== expected.stopped && (again ?? expected).stopped === expected.stopped) {
    const suspected = again ? {} : { suspected: true as const }
    found.push({ step: 'stop', detail: `ended ${ran.stopped}, not ${expected.stopped}`, ...suspected })
  }
  return found
}
