import type { Component, ComponentRef } from '../repository/component.ts'
import type { Stack } from '../repository/stack.ts'
import type { Digest } from '../store/digest.ts'
import type { Store } from '../store/store.ts'
import { addedFiles } from './added-files.ts'
import { keep } from './keep.ts'
import { keptPages } from './kept-pages.ts'
import { type Layers, layersOf } from './layers.ts'
import type { Pages, PagesRead } from './pages.ts'
import type { Profile } from './profile.ts'
import { loadRules, type Rule } from './rules.ts'
import type { Blueprint } from './schema.ts'
import type { Reason, SelectedFile, SelectedPart, Selection, Widened } from './selection.ts'
import { servicesOf } from './services.ts'

export interface SelectInput {
  readonly blueprint: Blueprint
  readonly stackDigest: Digest
  readonly stack: Stack
  /** Those that `stack.components` names, in the same order. */
  readonly components: readonly Component[]
  readonly profile: Profile
  readonly profileDigest: Digest
  /** Paths added because the bundle was found to lack them, and what found it. */
  readonly widened?: readonly Widened[]
  /** Which pages were read of files that may be kept by page, while the application was watched. */
  readonly pages?: Readonly<Record<string, PagesRead>> | undefined
  /** Holds the components' contents; takes those of the blueprint's `files`. */
  readonly store: Store
  /** Those of templates/rules unless given. */
  readonly rules?: readonly Rule[]
}

/**
 * The exact files of a bundle: what was observed, what those need (closure), what rules add, what the blueprint keeps,
 * its trees and its files; less what it drops. Each path comes once, from the last component that has it, under the path
 * that it really has, with the first reason found for it.
 */
export async function select(input: SelectInput): Promise<Selection> {
  const { blueprint, store, stack } = input
  const added = await addedFiles(blueprint, store)
  const components = added ? [...input.components, added.component] : input.components
  const refs = added ? [...stack.components, added.ref] : stack.components
  const layers = layersOf(components)
  const services = await servicesOf(blueprint, input.components, store)
  const rules = input.rules ?? (await loadRules())
  const { profile, widened = [] } = input
  const kept = await keep({ blueprint, services, profile, widened, rules, components, layers, store })
  return {
    blueprint: blueprint.name,
    stack: input.stackDigest,
    profile: input.profileDigest,
    parts: partsOf(kept, layers, components, refs, await keptPages([...kept.keys()], layers, input)),
  }
}

function partsOf(
  kept: ReadonlyMap<string, Reason>,
  { at }: Layers,
  components: readonly Component[],
  refs: readonly ComponentRef[],
  pages: ReadonlyMap<string, Pages>,
): SelectedPart[] {
  const files: SelectedFile[][] = components.map(() => [])
  for (const [path, reason] of kept) {
    const { entry, layer } = at.get(path)!
    const some = pages.get(path)
    files[layer]!.push({ ...entry, reason, ...(some === undefined ? {} : { pages: some }) })
  }
  return components.flatMap(({ mtime }, layer) => {
    const own = files[layer]!.sort((a, b) => (a.path < b.path ? -1 : 1))
    return own.length === 0 ? [] : [{ component: refs[layer]!, mtime, files: own }]
  })
}
