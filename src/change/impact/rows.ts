import { loadRules, type Rule } from '../../blueprint/rules.ts'
import type { Component } from '../../repository/component.ts'
import type { Digest } from '../../store/digest.ts'
import type { Store } from '../../store/store.ts'
import { type Comparison, compareParts, wantingOf } from './compare.ts'
import type { Chunk, Part } from './file-index.ts'
import { libraryCache } from './made.ts'
import type { FileChange, ImpactRow, Verdict } from './report.ts'
import type { Standing } from './use.ts'

/** One subject in use, and the part of the index that it has of a component. */
export interface Holding {
  readonly number: number
  readonly standing: Standing
  readonly part: Part
  /** Places of the part's paths that it keeps. */
  readonly files: readonly number[]
}

/** Who has a component in its stack, whether it keeps something of it or not. */
export function holdingsOf(chunk: Chunk, subjects: ReadonlyMap<number, Standing>): Holding[] {
  return chunk.parts.flatMap((part) =>
    part.kept.flatMap(({ files, subjects: numbers }) =>
      numbers.flatMap((number) => {
        const standing = subjects.get(number)
        return standing ? [{ number, standing, part, files }] : []
      }),
    ),
  )
}

/** The version that holdings are compared with. */
export interface Target {
  readonly version: string
  readonly component: Digest
}

/** Compares each version that is held with another one, once however many hold it. */
export class Comparing {
  readonly #store: Store
  readonly #components = new Map<Digest, Promise<Component>>()
  readonly #compared = new Map<string, Promise<Comparison>>()
  #rules: Promise<readonly Rule[]> | undefined

  constructor(store: Store) {
    this.#store = store
  }

  component(digest: Digest): Promise<Component> {
    const known = this.#components.get(digest) ?? this.#store.readJson<Component>(digest)
    this.#components.set(digest, known)
    return known
  }

  async row(chunk: Chunk, holding: Holding, target: Target): Promise<ImpactRow> {
    const { part, files, standing } = holding
    const same = part.component === target.component
    const differing = same || !(await this.#mayDiffer(holding)) ? [] : await this.#differing(holding, target)
    const verdict: Verdict =
      differing.length > 0
        ? 'affected'
        : files.length > 0
          ? 'not affected: no selected file differs'
          : 'not affected: not in the bundle'
    return rowOf(chunk, standing, { part, files: differing, kept: files.length, to: target, verdict })
  }

  /** Who keeps nothing of a component, and asks for nothing by name, need not be compared at all. */
  async #mayDiffer({ files, standing: { subject } }: Holding): Promise<boolean> {
    return files.length + subject.keep.length + subject.rules.length + subject.made.length > 0
  }

  async #differing({ part, files, standing: { subject } }: Holding, target: Target): Promise<readonly FileChange[]> {
    const { changed, added, libraries } = await this.#compare(part, target)
    const found = files.flatMap((place) => changed.get(place) ?? []).sort((a, b) => (a.path < b.path ? -1 : 1))
    if (libraries && subject.made.includes(libraryCache)) found.push(libraries)
    if (added.length === 0) return found
    this.#rules ??= loadRules()
    const wants = wantingOf(subject, await this.#rules)
    return [...found, ...added.filter(({ path }) => wants(path))]
  }

  #compare(part: Part, target: Target): Promise<Comparison> {
    const key = `${part.component} ${target.component}`
    const known = this.#compared.get(key) ?? this.#comparison(part, target)
    this.#compared.set(key, known)
    return known
  }

  async #comparison(part: Part, target: Target): Promise<Comparison> {
    return compareParts(part, await this.component(part.component), await this.component(target.component))
  }
}

interface RowFacts {
  readonly part: Part | undefined
  readonly files: readonly FileChange[]
  readonly kept: number
  readonly to: Target | null
  readonly verdict: Verdict
}

export function rowOf(
  component: Pick<Chunk, 'kind' | 'name'> | null,
  { subject, bundles, channels, nodes, pins }: Standing,
  { part, files, kept, to, verdict }: RowFacts,
): ImpactRow {
  const pin = component?.kind === 'deb' ? pins.get(component.name) : undefined
  return {
    blueprint: subject.blueprint,
    selection: subject.selection,
    bundles,
    channels,
    nodes,
    component: component && { kind: component.kind, name: component.name },
    from: part ? { version: part.version, component: part.component } : null,
    to,
    kept,
    files,
    verdict,
    ...(pin ? { pin } : {}),
  }
}

/** A row for each subject that no other row is about: it has nothing of what was asked after. */
export function absentRows(
  component: Pick<Chunk, 'kind' | 'name'> | null,
  subjects: ReadonlyMap<number, Standing>,
  present: ReadonlySet<number>,
  to: Target | null,
): ImpactRow[] {
  const none = { part: undefined, files: [], kept: 0, to, verdict: 'not affected: not in the bundle' } as const
  return [...subjects].flatMap(([number, standing]) => (present.has(number) ? [] : [rowOf(component, standing, none)]))
}
