import { BootloomError } from '../../config/errors.ts'
import { compareDebVersions } from '../../repository/deb/version.ts'
import { componentsNamed } from '../../state/components.ts'
import { flawsOf } from '../security.ts'
import { cveName, type Flaw } from '../security-data.ts'
import { sourceOf } from './chunks.ts'
import type { Chunk } from './file-index.ts'
import { standingAt } from './files.ts'
import { type Answer, type Asking, answerPackage } from './offers.ts'
import type { ImpactRow, Offered } from './report.ts'
import { absentRows, Comparing, type Holding, holdingsOf, rowOf, type Target } from './rows.ts'

/**
 * Whom a flaw concerns. A version that has it matters to those alone who keep a file that its fix changes; where no fix
 * is to be had, to those who keep any file of it. CVE_UNKNOWN when the security data at hand do not have it.
 */
export async function answerCve(asking: Asking, cve: string): Promise<Answer> {
  if (!cveName.test(cve))
    throw new BootloomError('USAGE', 'a CVE is named as CVE-2026-1234', { where: cve.slice(0, 80) })
  const flaws = await flawsOf(asking.context.directory, cve)
  if (flaws.length === 0) throw new BootloomError('CVE_UNKNOWN', `${cve} is not in the security data`, { where: cve })
  const rows: ImpactRow[] = []
  const offered: Offered[] = []
  const present = new Set<number>()
  for (const place of asking.index.header.places) {
    const own = flaws.filter(({ source }) => place.sources.includes(source))
    if (own.length === 0) continue
    const chunk = (await asking.index.chunk(place.kind, place.name))!
    const answer = await answerChunk(asking, chunk, own, present)
    rows.push(...answer.rows)
    offered.push(...answer.offered.map((one) => ({ ...one, fixes: [cve] })))
  }
  return { offered, rows: [...rows, ...absentRows(null, asking.subjects, present, null)] }
}

async function answerChunk(
  asking: Asking,
  chunk: Chunk,
  flaws: readonly Flaw[],
  present: Set<number>,
): Promise<Answer> {
  const rows: ImpactRow[] = []
  const comparing = new Comparing(asking.context.store)
  const fixes = new Map<string, Promise<Target | undefined>>()
  for (const holding of holdingsOf(chunk, asking.subjects)) {
    const { part, files, standing } = holding
    const flaw = flaws.find(
      ({ source, release }) => source === part.source?.name && release === standing.subject.suites?.suite,
    )
    if (!flaw) continue
    present.add(holding.number)
    if (flaw.fixed !== '-' && compareDebVersions(part.source!.version, flaw.fixed) >= 0) {
      const verdict = 'not affected: this version does not have the flaw'
      rows.push(rowOf(chunk, standing, { part, files: [], kept: files.length, to: null, verdict }))
      continue
    }
    if (files.length > 0 && !fixes.has(flaw.fixed)) fixes.set(flaw.fixed, fixIn(asking, comparing, chunk, flaw.fixed))
    const target = files.length > 0 ? await fixes.get(flaw.fixed) : undefined
    rows.push(target ? await comparing.row(chunk, holding, target) : unfixed(chunk, holding))
  }
  const found = (await Promise.all(fixes.values())).filter((target) => target !== undefined)
  const { kind, name } = chunk
  return { rows, offered: found.map((target) => ({ kind, name, ...target, suites: [], fixes: [] })) }
}

function unfixed(chunk: Chunk, { part, files, standing }: Holding): ImpactRow {
  const verdict = files.length > 0 ? 'affected' : 'not affected: not in the bundle'
  const kept = files.map((place) => standingAt(part, place))
  return rowOf(chunk, standing, { part, files: kept, kept: kept.length, to: null, verdict })
}

/** The package at a version whose source has the fix: from the store, else from the archive; undefined without one. */
async function fixIn(
  asking: Asking,
  comparing: Comparing,
  { kind, name }: Chunk,
  fixed: string,
): Promise<Target | undefined> {
  if (fixed === '-' || kind !== 'deb') return undefined
  const hasFix = async (target: Target) => {
    const source = sourceOf(await comparing.component(target.component))
    return source !== undefined && compareDebVersions(source.version, fixed) >= 0
  }
  const { store, state } = asking.context
  for (const { version, digest } of await componentsNamed(state.redis, name)) {
    const target = { version, component: digest }
    if ((await store.has(digest)) && (await hasFix(target))) return target
  }
  try {
    for (const { version, component } of (await answerPackage(asking, name)).offered) {
      if (component && (await hasFix({ version, component }))) return { version, component }
    }
  } catch (error) {
    // Nobody to ask: to say that all who keep it are affected is then the safe side.
    asking.context.log.warn({ event: 'impact-no-archive', package: name, reason: (error as Error).message })
  }
  return undefined
}
