import type { Store } from '../store/store.ts'
import { type Glob, literally, parseGlob } from './glob.ts'
import type { Layers } from './layers.ts'
import type { Finding, Rule } from './rules.ts'
import type { Reason } from './selection.ts'

/** What a rule wants of the stack: every path that matches `glob` and none of `except`. */
export interface Wish {
  readonly glob: Glob
  readonly except: readonly Glob[]
  readonly reason: Reason
}

/** Larger files name no modules. */
const maximumRead = 1024 * 1024

/**
 * Tells what rules want in view of what is selected. Each call is to give all paths selected so far, those of the call
 * before first and in the same order; it answers with what is wanted since. An empty answer is the end.
 */
export function firing(
  rules: readonly Rule[],
  layers: Layers,
  store: Store,
): (kept: readonly string[]) => Promise<Wish[]> {
  const states = rules.map((rule) => ({ rule, fired: rule.when === undefined, begun: false, met: 0, read: 0 }))
  return async (kept) => {
    const wishes: Wish[] = []
    for (const state of states) {
      const { rule } = state
      let by: string | undefined
      if (!state.fired) {
        by = kept.slice(state.met).find((path) => matchesAny(path, rule.when!))
        state.met = kept.length
        state.fired = by !== undefined
      }
      if (!state.fired) continue
      if (!state.begun) wishes.push(...rule.add.map((glob) => wish(rule, glob, by)))
      state.begun = true
      for (const path of kept.slice(state.read)) wishes.push(...(await wishesAt(path, rule, layers, store)))
      state.read = kept.length
    }
    return wishes
  }
}

async function wishesAt(path: string, rule: Rule, layers: Layers, store: Store): Promise<Wish[]> {
  const found = rule.beside.flatMap((finding) => filled(finding, path))
  for (const finding of rule.namedBy) {
    if (!matchesAny(path, finding.files)) continue
    const text = await textAt(path, layers, store)
    if (text !== undefined) found.push(...filled(finding, text))
  }
  return [...new Set(found)].map((text) => wish(rule, parseGlob(text), path))
}

async function textAt(path: string, { at, world }: Layers, store: Store): Promise<string | undefined> {
  const entry = at.get(world.resolve(path, true).path)?.entry
  if (entry?.digest === undefined || entry.size > maximumRead) return undefined
  return (await store.read(entry.digest)).toString('utf8')
}

/** The globs that a pattern's finds make; one that comes out relative is no path of a stack. */
function filled({ pattern, add }: Finding, text: string): string[] {
  return [...text.matchAll(pattern)].flatMap((match) =>
    add
      .map((template) => template.replace(/\$([1-9])/g, (_, group: string) => literally(match[Number(group)] ?? '')))
      .filter((glob) => glob.startsWith('/')),
  )
}

const wish = ({ name, except }: Rule, glob: Glob, from: string | undefined): Wish => ({
  glob,
  except,
  reason: { kind: 'rule', by: name, ...(from === undefined ? {} : { from }) },
})

const matchesAny = (path: string, globs: readonly Glob[]): boolean => globs.some((glob) => glob.matches(path))
