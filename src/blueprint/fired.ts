import type { Size } from './layers.ts'
import type { Rule } from './rules.ts'
import type { Selection } from './selection.ts'

/** What came of one rule in one selection. */
export interface FiredRule {
  readonly name: string
  readonly family: string
  /** Whether its condition held, or without one, whether there was anything to look for; it may have added nothing. */
  readonly fired: boolean
  /** A selected path that its condition met; absent without a condition. */
  readonly met?: string
  /** What it asked for and nothing before it had: directories not counted, bytes before compression. */
  readonly added: Size
  /** What that cannot do without and nothing before it had, such as libraries. */
  readonly followed: Size
  /** Sorted. */
  readonly paths: readonly string[]
}

/** Which rules applied in a selection, and what each brought along. */
export function firedRules(selection: Selection, rules: readonly Rule[]): FiredRule[] {
  const files = new Map(selection.parts.flatMap(({ files }) => files.map((file) => [file.path, file] as const)))
  const sources = new Map<string, string | undefined>()
  /** The rule that a path follows from, if it does. */
  const sourceOf = (path: string): string | undefined => {
    if (sources.has(path)) return sources.get(path)
    sources.set(path, undefined)
    const reason = files.get(path)?.reason
    const source = reason?.kind === 'rule' ? reason.by : reason?.from === undefined ? undefined : sourceOf(reason.from)
    sources.set(path, source)
    return source
  }
  const followers = new Map<string, { added: Size; followed: Size; paths: string[] }>()
  for (const { path, type, size, reason } of files.values()) {
    const source = type === 'dir' ? undefined : sourceOf(path)
    if (source === undefined) continue
    const sum = followers.get(source) ?? { added: nothing, followed: nothing, paths: [] }
    const part = reason.kind === 'rule' ? 'added' : 'followed'
    const { files: count, bytes } = sum[part]
    followers.set(source, {
      ...sum,
      [part]: { files: count + 1, bytes: bytes + size },
      paths: part === 'added' ? [...sum.paths, path] : sum.paths,
    })
  }
  const paths = [...files.keys()].sort()
  return rules.map(({ name, family, when, add }) => {
    const isOther = (path: string) => sourceOf(path) !== name
    const met = when && paths.find((path) => isOther(path) && when.some((glob) => glob.matches(path)))
    const { added, followed, paths: own } = followers.get(name) ?? { added: nothing, followed: nothing, paths: [] }
    return {
      name,
      family,
      fired: when === undefined ? add.length > 0 || own.length > 0 : met !== undefined,
      ...(met === undefined ? {} : { met }),
      added,
      followed,
      paths: [...own].sort(),
    }
  })
}

const nothing: Size = { files: 0, bytes: 0 }
