import { BootloomError } from '../../config/errors.ts'
import { compareDebVersions, isDebVersion } from '../../repository/deb/version.ts'
import { type PendingRequest, type PendingUpdate, type Suites, suitesKey } from '../../repository/pending.ts'
import type { Flavour } from '../../repository/request.ts'
import { componentsNamed } from '../../state/components.ts'
import type { Context } from '../context.ts'
import { flawsOf } from '../security.ts'
import { sourceOf } from './chunks.ts'
import type { Chunk, ImpactIndex } from './file-index.ts'
import type { ImpactRow, Offered } from './report.ts'
import { absentRows, Comparing, holdingsOf, rowOf, type Target } from './rows.ts'
import type { Standing } from './use.ts'

/** What a question is answered from. */
export interface Asking {
  readonly context: Context
  readonly index: ImpactIndex
  /** Those in use, by their numbers in the index. */
  readonly subjects: ReadonlyMap<number, Standing>
  pending(request: PendingRequest): Promise<PendingUpdate[]>
}

export interface Answer {
  readonly offered: readonly Offered[]
  readonly rows: readonly ImpactRow[]
}

/** All that the sources offer and that some stack in use has in an older version. */
export async function answerPending(asking: Asking): Promise<Answer> {
  const debs = asking.index.header.places.filter(({ kind }) => kind === 'deb')
  const packages = Object.fromEntries(debs.map(({ name, versions }) => [name, oldest(versions)]))
  const wanted = debs.filter(({ kept }) => kept).map(({ name }) => name)
  const kernels = asking.index.header.places.find(({ kind }) => kind === 'kernel')?.versions ?? []
  const answers: Answer[] = []
  for (const { suites, flavours } of sourcesOf(asking.subjects)) {
    const kernel = Object.fromEntries(flavours.map((flavour) => [flavour, oldest(kernels)]))
    for (const update of await asking.pending({ suites, packages, kernels: kernel, wanted })) {
      answers.push(await answerUpdate(asking, update, suites))
    }
  }
  return together(answers)
}

/** What one package would change, at the version named or at the newest that is offered. */
export async function answerPackage(asking: Asking, words: string): Promise<Answer> {
  const [name = '', version] = words.split(/=(.*)/s)
  if (!/^[a-z0-9][a-z0-9+.-]{0,127}$/.test(name) || (version !== undefined && !isDebVersion(version))) {
    throw new BootloomError('USAGE', 'a package is named as NAME or NAME=VERSION', { where: words.slice(0, 200) })
  }
  const chunk = await asking.index.chunk('deb', name)
  const own = { kind: 'deb', name }
  if (version !== undefined) {
    const known = (await componentsNamed(asking.context.state.redis, name)).filter((one) => one.version === version)
    for (const { digest } of known) {
      if (!(await asking.context.store.has(digest))) continue
      const target = { version, component: digest }
      const rows = chunk ? await rowsOf(asking, chunk, target) : absentRows(own, asking.subjects, new Set(), target)
      return { offered: [await offeredOf(asking, { kind: 'deb', name, ...target, suites: [] }, chunk)], rows }
    }
  }
  const packages = { [name]: oldest(chunk?.parts.map((part) => part.version) ?? []) }
  const answers: Answer[] = []
  for (const { suites } of sourcesOf(asking.subjects)) {
    const request = { suites, packages, kernels: {}, wanted: [name], ...(version === undefined ? {} : { version }) }
    for (const update of await asking.pending(request)) answers.push(await answerUpdate(asking, update, suites, chunk))
  }
  if (answers.length === 0 && version !== undefined) {
    throw new BootloomError('COMPONENT_UNKNOWN', `neither the store nor an archive has ${name} ${version}`, {
      where: words,
    })
  }
  return together(answers)
}

/** An update that a source offers, for those who draw on that source and have an older version. */
async function answerUpdate(
  asking: Asking,
  { kind, name, version, flavour, suites, component }: PendingUpdate,
  source: Suites,
  known?: Chunk,
): Promise<Answer> {
  const chunk = known ?? (await asking.index.chunk(kind, kind === 'kernel' ? 'kernel' : name))
  if (!chunk) return { offered: [], rows: [] }
  const comparing = new Comparing(asking.context.store)
  const target = component && { version, component }
  const rows: ImpactRow[] = []
  for (const holding of holdingsOf(chunk, asking.subjects)) {
    const { subject } = holding.standing
    const draws = subject.suites !== undefined && suitesKey(subject.suites) === suitesKey(source)
    if (!draws || (flavour !== undefined && subject.flavour !== flavour)) continue
    if (compareDebVersions(version, holding.part.version) <= 0) continue
    if (target) rows.push(await comparing.row(chunk, holding, target))
    else rows.push(unkept(chunk, holding.standing, holding.part, version))
  }
  if (rows.length === 0) return { offered: [], rows }
  return {
    offered: [await offeredOf(asking, { kind, name, version, component: component ?? null, suites }, chunk)],
    rows,
  }
}

/** Its files were not even fetched: nobody keeps one. */
const unkept = (chunk: Chunk, standing: Standing, part: Chunk['parts'][number], version: string): ImpactRow => ({
  ...rowOf(chunk, standing, { part, files: [], kept: 0, to: null, verdict: 'not affected: not in the bundle' }),
  to: { version, component: null },
})

/** A row for every subject in use: one that does not have the component at all says so, too. */
async function rowsOf({ context, subjects }: Asking, chunk: Chunk, target: Target): Promise<ImpactRow[]> {
  const comparing = new Comparing(context.store)
  const holdings = holdingsOf(chunk, subjects)
  const rows: ImpactRow[] = []
  for (const holding of holdings) rows.push(await comparing.row(chunk, holding, target))
  return [...rows, ...absentRows(chunk, subjects, new Set(holdings.map(({ number }) => number)), target)]
}

/** With the flaws that it mends: those fixed in its source package's version, and not in the oldest in use. */
async function offeredOf(
  { context }: Asking,
  offered: Omit<Offered, 'fixes'>,
  chunk: Chunk | undefined,
): Promise<Offered> {
  const source = offered.component && sourceOf(await context.store.readJson(offered.component))
  const present = chunk?.parts.flatMap((part) => (part.source ? [part.source.version] : [])) ?? []
  if (!source || present.length === 0) return { ...offered, fixes: [] }
  const flaws = await flawsOf(context.directory, source.name)
  const fixes = flaws.filter(
    ({ source: of, fixed }) =>
      of === source.name &&
      fixed !== '-' &&
      compareDebVersions(fixed, source.version) <= 0 &&
      compareDebVersions(fixed, oldest(present)) > 0,
  )
  return { ...offered, fixes: [...new Set(fixes.map(({ cve }) => cve))].sort() }
}

/** The sources that subjects in use draw on, with the kernels that they take from each. */
function sourcesOf(subjects: ReadonlyMap<number, Standing>) {
  const found = new Map<string, { suites: Suites; flavours: Flavour[] }>()
  for (const { subject } of subjects.values()) {
    if (subject.suites === undefined) continue
    const key = suitesKey(subject.suites)
    const known = found.get(key) ?? { suites: subject.suites, flavours: [] }
    if (!known.flavours.includes(subject.flavour)) known.flavours.push(subject.flavour)
    found.set(key, known)
  }
  return found.values()
}

const oldest = (versions: readonly string[]): string =>
  versions.reduce((a, b) => (a === '' || compareDebVersions(a, b) > 0 ? b : a), '')

const together = (answers: readonly Answer[]): Answer => ({
  offered: answers.flatMap(({ offered }) => offered),
  rows: answers.flatMap(({ rows }) => rows),
})
