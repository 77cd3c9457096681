import { posix } from 'node:path'
import type { Component, ComponentRef } from '../repository/component.ts'
import type { Stack } from '../repository/stack.ts'
import type { Digest } from '../store/digest.ts'
import type { Store } from '../store/store.ts'
import { addedFiles } from './added-files.ts'
import { findProgram, needsReader } from './closure/needs.ts'
import { type Glob, parseGlob } from './glob.ts'
import { type Layers, layersOf } from './layers.ts'
import type { Profile } from './profile.ts'
import { loadRules, type Rule } from './rules.ts'
import type { Blueprint } from './schema.ts'
import type { Reason, SelectedFile, SelectedPart, Selection } from './selection.ts'

export interface SelectInput {
  readonly blueprint: Blueprint
  readonly stackDigest: Digest
  readonly stack: Stack
  /** Those that `stack.components` names, in the same order. */
  readonly components: readonly Component[]
  readonly profile: Profile
  readonly profileDigest: Digest
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
  const kept = await keep(input, components, layers)
  return {
    blueprint: blueprint.name,
    stack: input.stackDigest,
    profile: input.profileDigest,
    parts: partsOf(kept, layers, components, refs),
  }
}

async function keep(
  input: SelectInput,
  components: readonly Component[],
  layers: Layers,
): Promise<Map<string, Reason>> {
  const { blueprint } = input
  const kept = new Map<string, Reason>()
  const waiting: string[] = []
  const dropped = blueprint.drop.map(parseGlob)

  /** Keeps what stands at a path, and the links that are walked on the way to it. */
  const add = (path: string, reason: Reason) => {
    const { path: real, walked } = layers.world.resolve(path, false)
    for (const link of walked) addExact(link, { kind: 'closure', by: `on the way to ${path}` })
    addExact(real, reason)
  }
  const addExact = (path: string, reason: Reason) => {
    if (kept.has(path) || !layers.at.has(path) || dropped.some((glob) => glob.matches(path))) return
    kept.set(path, reason)
    waiting.push(path)
  }
  const addAll = (globs: readonly Glob[], reason: Reason) => {
    for (const glob of globs) {
      if (glob.literal !== undefined) add(glob.literal, reason)
      else for (const path of layers.at.keys()) if (glob.matches(path)) addExact(path, reason)
    }
  }

  addWholeTrees(blueprint, components, layers, addExact)
  for (const { path, created } of input.profile.paths) {
    if (created) addParent(path, layers, addExact)
    else add(path, { kind: 'observed', by: input.profile.methods.join(' ∪ ') })
  }
  for (const text of blueprint.keep) addAll([parseGlob(text)], { kind: 'keep', by: `keep: ${text}` })
  for (const { path } of blueprint.writable) add(path, { kind: 'keep', by: 'writable' })
  const programs = [['start', blueprint.start.command[0]!] as const, ...probeProgram(blueprint)]
  for (const [line, name] of programs) {
    const program = findProgram(name, layers)
    if (program !== undefined) add(program, { kind: 'keep', by: line })
  }

  const needsOf = await needsReader(layers, input.store)
  const close = async () => {
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
      for (const need of await needsOf(path, layers.at.get(path)!)) add(need.path, { kind: 'closure', by: need.by })
    }
  }
  await close()
  let rest = input.rules ?? (await loadRules())
  for (let fired = true; fired; ) {
    const firing = rest.filter(({ when }) => when === undefined || matchesAny(kept.keys(), when))
    rest = rest.filter((rule) => !firing.includes(rule))
    for (const rule of firing) addAll(rule.add, { kind: 'rule', by: rule.name })
    await close()
    fired = firing.length > 0
  }
  return kept
}

type Add = (path: string, reason: Reason) => void

/** Trees are kept whole unless they are to be trimmed; the blueprint's own files always are. */
function addWholeTrees(blueprint: Blueprint, components: readonly Component[], layers: Layers, add: Add): void {
  const trees = blueprint.stack.flatMap((source) => ('tree' in source ? [source.tree] : []))
  const layersOfTrees = components.flatMap(({ kind }, layer) => (kind === 'tree' ? [layer] : []))
  const whole = new Map(layersOfTrees.map((layer, index) => [layer, trees[index]]))
  const files = blueprint.files.length > 0 ? components.length - 1 : -1
  for (const [path, { layer, entry }] of layers.at) {
    if (layer === files && entry.type !== 'dir') add(path, { kind: 'file', by: 'files' })
    const tree = whole.get(layer)
    if (whole.has(layer) && !tree?.trim) add(path, { kind: 'tree', by: tree?.at ?? components[layer]!.name })
  }
}

/** The directory that a created path stands in, or the nearest one above that the stack has. */
function addParent(path: string, { at }: Layers, add: Add): void {
  let parent = posix.dirname(path)
  while (parent !== '/' && !at.has(parent)) parent = posix.dirname(parent)
  add(parent, { kind: 'closure', by: `directory of ${path}` })
}

/** A probe that is a command runs on the node too. */
function probeProgram({ probe }: Blueprint): (readonly [string, string])[] {
  return 'command' in probe ? [['probe', probe.command[0]!]] : []
}

function matchesAny(paths: Iterable<string>, globs: readonly Glob[]): boolean {
  for (const path of paths) if (globs.some((glob) => glob.matches(path))) return true
  return false
}

function partsOf(
  kept: ReadonlyMap<string, Reason>,
  { at }: Layers,
  components: readonly Component[],
  refs: readonly ComponentRef[],
): SelectedPart[] {
  const files: SelectedFile[][] = components.map(() => [])
  for (const [path, reason] of kept) {
    const { entry, layer } = at.get(path)!
    files[layer]!.push({ ...entry, reason })
  }
  return components.flatMap(({ mtime }, layer) => {
    const own = files[layer]!.sort((a, b) => (a.path < b.path ? -1 : 1))
    return own.length === 0 ? [] : [{ component: refs[layer]!, mtime, files: own }]
  })
}
