import { difference } from '../../blueprint/answer.ts'
import type { Thresholds } from '../../blueprint/policy-schema.ts'
import type { Measure } from '../../state/measures.ts'

/** What comparing a bundle with the one that it would replace found. */
export interface Compared {
  /** What keeps it from being promoted. */
  readonly findings: readonly string[]
  /** What is told all the same. */
  readonly notes: readonly string[]
  /** Only the time to boot is too long: the machine may have been busy, and another try may show it. */
  readonly onlySlow: boolean
}

const factors: Readonly<Record<string, number>> = { '': 1, k: 1e3, M: 1e6, G: 1e9 }

/** Most that a figure may be: times that of the bundle before, or a limit; undefined where there is nothing to compare. */
function mostOf(threshold: string, before: number | undefined): number | undefined {
  const times = /^([\d.]+)x$/.exec(threshold)?.[1]
  if (times !== undefined) return before === undefined ? undefined : Number(times) * before
  const seconds = /^([\d.]+)s$/.exec(threshold)?.[1]
  if (seconds !== undefined) return Number(seconds) * 1000
  const [, number, unit] = /^([\d.]+) ?([kMG]?)B$/.exec(threshold)!
  return Number(number) * factors[unit!]!
}

/** More than before by no more than this tells nothing: two boots of the same bundle differ by as much. */
const noise = { boot: 500, memory: 4_000_000, size: 64_000 }

export function compareMeasures(
  { boot, memory, size, answers }: Thresholds,
  now: Measure,
  before: Measure | undefined,
): Compared {
  const over = (what: keyof typeof noise, threshold: string, text: (value: number) => string): string[] => {
    const most = mostOf(threshold, before?.[what])
    const isNoise = threshold.endsWith('x') && now[what] - (before?.[what] ?? 0) <= noise[what]
    const excess = most !== undefined && now[what] > most && !isNoise
    const than = before ? `, before ${text(before[what])}` : ''
    return excess ? [`${names[what]} ${text(now[what])}${than}: more than ${threshold}`] : []
  }
  const slow = over('boot', boot, seconds)
  const large = [...over('memory', memory, megabytes), ...over('size', size, megabytes)]
  const told =
    before && answers !== 'any' ? compareAnswers(now, before, answers === 'same') : { findings: [], notes: [] }
  const findings = [...slow, ...large, ...told.findings]
  return { findings, notes: told.notes, onlySlow: slow.length > 0 && findings.length === slow.length }
}

const names = { boot: 'boots in', memory: 'takes', size: 'is' } as const
const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(1)} s`
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`

/** Steps are the same where the workload is; one that was changed has nothing to be compared with. */
function compareAnswers(now: Measure, before: Measure, strict: boolean) {
  const findings: string[] = []
  const notes: string[] = []
  for (const [index, { step, answer }] of now.answers.entries()) {
    const other = before.answers[index]
    if (!answer || !other?.answer || other.step !== step) continue
    const differs = difference(other.answer, answer)
    if (differs === undefined) continue
    const counts = strict || answer.status !== other.answer.status
    if (counts) findings.push(`${step}: ${differs}`)
    else notes.push(`${step}: ${differs}`)
  }
  return { findings, notes }
}
