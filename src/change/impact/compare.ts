import { type Glob, parseGlob } from '../../blueprint/glob.ts'
import type { Rule } from '../../blueprint/rules.ts'
import type { Component, Entry } from '../../repository/component.ts'
import type { Part, Subject } from './file-index.ts'
import { isMadeInto, libraryCache, libraryNames } from './made.ts'
import type { FileChange } from './report.ts'

/** All of an entry that a node can tell, in a few words; a hard link is told by what it shares. */
export function contentOf(entry: Entry, entries: ReadonlyMap<string, Entry>): string {
  const { type, mode, uid, gid, digest, target, device } = entry
  const shared = type === 'hardlink' ? entries.get(target ?? '')?.digest : undefined
  const what = digest ?? shared ?? target ?? device?.join(':') ?? ''
  return `${shared === undefined ? type : 'file'} ${mode.toString(8)} ${uid}:${gid} ${what}`
}

export const byPathOf = (component: Component): Map<string, Entry> =>
  new Map(component.entries.map((entry) => [entry.path, entry]))

/** What another version of a component would bring to those who keep something of this one. */
export interface Comparison {
  /** Place in the part's list of paths → what differs there. */
  readonly changed: ReadonlyMap<number, FileChange>
  /** What the version at hand does not have. */
  readonly added: readonly FileChange[]
  /** The cache of libraries, when their names differ. */
  readonly libraries: FileChange | undefined
}

/** `before` is the component of the part. A kernel's paths bear its release, which is another one after. */
export function compareParts(part: Part, before: Component, after: Component): Comparison {
  const entries = byPathOf(after)
  const renamed = (path: string) => (before.kind === 'kernel' ? path.replaceAll(before.name, after.name) : path)
  const changed = new Map<number, FileChange>()
  for (const [index, path] of part.paths.entries()) {
    const entry = entries.get(renamed(path))
    const from = part.contents[index]!
    const to = entry ? contentOf(entry, entries) : null
    if (from === to && renamed(path) === path) continue
    const makes = part.makes[path]
    changed.set(index, { path, from, to, ...(makes === undefined ? {} : { makes }) })
  }
  const known = new Set(before.entries.map(({ path }) => renamed(path)))
  const added = after.entries
    .filter(({ path, type }) => type !== 'dir' && !known.has(path))
    .map((entry) => ({ path: entry.path, from: null, to: contentOf(entry, entries) }))
  return { changed, added, libraries: librariesOf(before, after) }
}

function librariesOf(before: Component, after: Component): FileChange | undefined {
  const [old, now] = [libraryNames(before).sort().join('\n'), libraryNames(after).sort().join('\n')]
  return old === now ? undefined : { path: libraryCache, from: 'made of other names', to: 'made of other names' }
}

/** Tells which paths a subject would keep besides those that it keeps, should its stack come to have them. */
export type Wanting = (path: string) => boolean

const globs = new Map<string, Glob>()
function globOf(text: string): Glob {
  const known = globs.get(text) ?? parseGlob(text)
  globs.set(text, known)
  return known
}

/** What it asks for by name, what its files are made of, and the plain globs of the rules that met something in it. */
export function wantingOf(subject: Subject, rules: readonly Rule[]): Wanting {
  const keep = subject.keep.map(globOf)
  const drop = subject.drop.map(globOf)
  const fired = rules.filter(({ name }) => subject.rules.includes(name))
  return (path) => {
    if (drop.some((glob) => glob.matches(path))) return false
    if (isMadeInto(path, subject.made) || keep.some((glob) => glob.matches(path))) return true
    return fired.some(
      (rule) => rule.add.some((glob) => glob.matches(path)) && !rule.except.some((glob) => glob.matches(path)),
    )
  }
}
