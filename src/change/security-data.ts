import { z } from 'zod'
import { isDebVersion } from '../repository/deb/version.ts'

/** What security data say of one flaw in one source package of one release. */
export interface Flaw {
  readonly source: string
  /** Name of the Debian release: `bookworm`. */
  readonly release: string
  readonly cve: string
  /** The first version without it; `0` where no version of the release ever had it; `-` where there is none yet. */
  readonly fixed: string
}

/** More than a release of Debian ever had; what lies beyond was not written by those who should have. */
export const mostFlaws = 500_000

const sourceName = /^[a-z0-9][a-z0-9+.-]{0,127}$/
const releaseName = /^[a-z][a-z-]{0,31}$/
export const cveName = /^CVE-\d{4}-\d{4,19}$/

/** Undefined for what does not have the form: one odd record is no reason to do without the others. */
function flawOf(source: string, release: string, cve: string, fixed: string): Flaw | undefined {
  const fits = sourceName.test(source) && releaseName.test(release) && cveName.test(cve)
  return fits && (fixed === '-' || isDebVersion(fixed)) ? { source, release, cve, fixed } : undefined
}

const trackerRelease = z.object({ status: z.string(), fixed_version: z.string().max(256).optional() })

/**
 * The flaws in the Debian security tracker's JSON: source package → CVE → releases → status and fixed version. Of the
 * releases named only. Undefined when the value is nothing of the kind.
 */
export function flawsOfTracker(value: unknown, releases: ReadonlySet<string>): Flaw[] | undefined {
  if (!isRecord(value)) return undefined
  const found: Flaw[] = []
  for (const [source, flaws] of Object.entries(value)) {
    if (!isRecord(flaws)) continue
    for (const [cve, flaw] of Object.entries(flaws)) {
      const of = isRecord(flaw) && isRecord(flaw.releases) ? flaw.releases : {}
      for (const release of releases) {
        const parsed = Object.hasOwn(of, release) ? trackerRelease.safeParse(of[release]) : undefined
        if (!parsed?.success || parsed.data.status === 'undetermined') continue
        const { status, fixed_version: fixed } = parsed.data
        const one = flawOf(source, release, cve, status === 'resolved' && fixed !== undefined ? fixed : '-')
        if (one && found.push(one) >= mostFlaws) return found
      }
    }
  }
  return found
}

/** Debian's releases by number: OSV has `Debian:12` where everyone else has `bookworm`. */
const numbered: Readonly<Record<string, string>> = {
  10: 'buster',
  11: 'bullseye',
  12: 'bookworm',
  13: 'trixie',
  14: 'forky',
}

const text = z.string().max(256)
const osvRecord = z.object({
  id: text,
  withdrawn: z.string().optional(),
  aliases: z.array(text).max(1000).default([]),
  upstream: z.array(text).max(1000).default([]),
  affected: z
    .array(
      z.object({
        package: z.object({ ecosystem: text, name: text }).optional(),
        ranges: z
          .array(z.object({ type: text, events: z.array(z.object({ fixed: text.optional() })).max(10_000) }))
          .max(1000)
          .default([]),
      }),
    )
    .max(10_000)
    .default([]),
})

/** The flaws in one OSV record (ossf.github.io/osv-schema), under each CVE that it bears; none when it is no such record. */
export function flawsOfOsv(value: unknown, releases: ReadonlySet<string>): Flaw[] {
  const parsed = osvRecord.safeParse(value)
  if (!parsed.success || parsed.data.withdrawn !== undefined) return []
  const { id, aliases, upstream, affected } = parsed.data
  const names = [id, ...aliases, ...upstream].map((name) => name.replace(/^DEBIAN-/, ''))
  const cves = [...new Set(names.filter((name) => cveName.test(name)))]
  return affected.flatMap(({ package: of, ranges }) => {
    const release = numbered[/^Debian:(\d+)$/.exec(of?.ecosystem ?? '')?.[1] ?? '']
    if (of === undefined || release === undefined || !releases.has(release)) return []
    const events = ranges.filter(({ type }) => type === 'ECOSYSTEM').flatMap((range) => range.events)
    const fixed = events.flatMap((event) => (event.fixed === undefined ? [] : [event.fixed])).at(-1) ?? '-'
    return cves.flatMap((cve) => flawOf(of.name, release, cve, fixed) ?? [])
  })
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === 'object' && !Array.isArray(value)
