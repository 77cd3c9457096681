import type { Store } from '../store/store.ts'
import { type Facts, factsOf } from './closure/facts.ts'
import { type Glob, parseGlob } from './glob.ts'
import type { Layers } from './layers.ts'
import { countPages, type Pages, type PagesRead, pageSize, pagesOver, pagesWithin, unitePages } from './pages.ts'
import type { Blueprint } from './schema.ts'
import type { Widened } from './selection.ts'

interface KeptPagesInput {
  readonly blueprint: Blueprint
  readonly pages?: Readonly<Record<string, PagesRead>> | undefined
  readonly widened?: readonly Widened[]
  readonly store: Store
}

/** Of all files that are kept by page. */
export const pagedGlobs = ({ page, code }: Blueprint['granularity']): Glob[] => [...page, ...code].map(parseGlob)

/**
 * The pages that are kept of those files of which not all is: what was read, what a replay found lacking, the first page,
 * which says what sort of file it is, and all of a program's or library's code, but where the blueprint names it as hardly
 * called. Code that did not run yet is what errors run into; data that was not read is tables that nobody asks for.
 *
 * Files of which it is not known what was read of this very content are kept whole, and so are those that somebody asked
 * to be kept as such.
 */
export async function keptPages(
  paths: readonly string[],
  { at }: Layers,
  { blueprint, pages = {}, widened = [], store }: KeptPagesInput,
): Promise<Map<string, Pages>> {
  const kept = new Map<string, Pages>()
  const globs = pagedGlobs(blueprint.granularity)
  const hardlyCalled = blueprint.granularity.code.map(parseGlob)
  for (const path of paths) {
    const known = pages[path]
    if (known === undefined || !globs.some((glob) => glob.matches(path))) continue
    const { entry } = at.get(path)!
    const more = widened.filter((one) => one.path === path)
    if (entry.type !== 'file' || entry.digest !== known.digest || more.some((one) => one.pages === undefined)) continue
    const code = hardlyCalled.some((glob) => glob.matches(path)) ? [] : codePages(await factsOf(entry, store))
    const all = unitePages('0', known.pages, ...code, ...more.map((one) => one.pages!))
    const within = pagesWithin(all, entry.size)
    if (countPages(within) * pageSize < entry.size) kept.set(path, within)
  }
  return kept
}

const codePages = (facts: Facts): Pages[] =>
  facts.kind === 'elf' ? facts.code.map(([offset, length]) => pagesOver(offset, length)) : []
