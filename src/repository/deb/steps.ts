import type { Stanza } from './control.ts'

/** Of a package, from its control fields (Debian policy, chapter 7). */
interface Relations {
  readonly isBase: boolean
  /** Each of these lists is of names any of which would do. */
  readonly depends: readonly (readonly string[])[]
}

/**
 * The packages of a stack in the order in which they are installed, a step at a time: what is essential and apt, then each
 * package that was asked for with what it needs and no earlier step had. Stacks that begin with the same steps come to
 * the same root as far as those go, so the work is done once; nothing else decides what is in a step, so a root is the
 * same whichever was made first.
 *
 * `stanzas` are those of the whole set, `requested` in the order in which they were asked for.
 */
export function stepsOf(stanzas: readonly Stanza[], requested: readonly string[]): string[][] {
  const packages = new Map(stanzas.map((fields) => [fields.get('package')!, relationsOf(fields)]))
  const providers = new Map<string, string[]>()
  for (const fields of stanzas) {
    for (const [name] of alternativesOf(fields.get('provides'))) {
      providers.set(name!, [...(providers.get(name!) ?? []), fields.get('package')!])
    }
  }
  const done = new Set<string>()
  const closureOf = (names: readonly string[]): string[] => {
    const found: string[] = []
    for (const left = [...names]; left.length > 0; ) {
      const name = left.pop()!
      const relations = packages.get(name)
      if (relations === undefined || done.has(name)) continue
      done.add(name)
      found.push(name)
      // Of several that would do, all that the set has: which of them apt would take does not matter then.
      for (const other of relations.depends.flat()) left.push(other, ...(providers.get(other) ?? []))
    }
    return found.sort()
  }
  const base = [...packages].flatMap(([name, { isBase }]) => (isBase ? [name] : []))
  const steps = [closureOf(base), ...requested.map((name) => closureOf([name.replace(/=.*/, '')]))]
  return [...steps, closureOf([...packages.keys()])].filter((step) => step.length > 0)
}

function relationsOf(fields: Stanza): Relations {
  const isBase = fields.get('essential') === 'yes' || fields.get('package') === 'apt'
  return { isBase, depends: [...alternativesOf(fields.get('pre-depends')), ...alternativesOf(fields.get('depends'))] }
}

/** `a (>= 1) | b:any, c` as [[a, b], [c]]. */
const alternativesOf = (field = ''): string[][] =>
  field
    .split(',')
    .map((list) => list.split('|').map((one) => one.trim().replace(/[\s:([].*$/s, '')))
    .filter(([first]) => first !== '')
