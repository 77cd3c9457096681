import { posix } from 'node:path'
import type { Component } from '../repository/component.ts'
import type { Store } from '../store/store.ts'
import { findProgram, needsReader } from './closure/needs.ts'
import { firing, type Wish } from './firing.ts'
import { parseGlob } from './glob.ts'
import { type Layers, matching } from './layers.ts'
import type { Profile } from './profile.ts'
import type { Rule } from './rules.ts'
import type { Blueprint } from './schema.ts'
import type { Reason, Widened } from './selection.ts'
import { programsOf, type Service } from './service.ts'
import type { Probe } from './step-schema.ts'

interface KeepInput {
  readonly blueprint: Blueprint
  readonly services: readonly Service[]
  readonly profile: Profile
  readonly widened: readonly Widened[]
  readonly rules: readonly Rule[]
  /** Those of the stack, and the blueprint's own files if it adds any. */
  readonly components: readonly Component[]
  readonly layers: Layers
  readonly store: Store
}

/** Every path that a bundle keeps, with the first reason found: the nearest to what was observed or asked for. */
export async function keep(input: KeepInput): Promise<Map<string, Reason>> {
  const { blueprint, layers, store } = input
  const kept = new Map<string, Reason>()
  /** The keys of `kept`, in the order in which they came. */
  const order: string[] = []
  const dropped = blueprint.drop.map(parseGlob)

  const addExact = (path: string, reason: Reason) => {
    if (kept.has(path) || !layers.at.has(path) || dropped.some((glob) => glob.matches(path))) return
    kept.set(path, reason)
    order.push(path)
  }
  /** Keeps what stands at a path, and the links that are walked on the way to it. */
  const add = (path: string, reason: Reason) => {
    const { path: real, walked } = layers.world.resolve(path, false)
    for (const link of walked) {
      addExact(link, { kind: 'closure', by: `on the way to ${path}`, from: real })
    }
    addExact(real, reason)
  }
  const addWish = ({ glob, except, reason }: Wish) => {
    const isWanted = (path: string) => !except.some((other) => other.matches(path))
    if (glob.literal !== undefined) {
      if (isWanted(glob.literal)) add(glob.literal, reason)
    } else for (const path of matching(glob, layers)) if (isWanted(path)) addExact(path, reason)
  }

  addAskedFor(input, addExact, add)
  for (const text of blueprint.keep) {
    addWish({ glob: parseGlob(text), except: [], reason: { kind: 'keep', by: `keep: ${text}` } })
  }

  for (const { path, by } of input.widened) add(path, { kind: 'widened', by })

  const needsOf = await needsReader(layers, store)
  const wishesOf = firing(input.rules, layers, store)
  for (let closed = 0; ; ) {
    // What is added on the way has its turn too: breadth first, so that the nearest reason is the one found.
    while (closed < order.length) {
      const path = order[closed++]!
      for (const need of await needsOf(path, layers.at.get(path)!)) {
        add(need.path, { kind: 'closure', by: need.by, from: path })
      }
    }
    const wishes = await wishesOf(order)
    if (wishes.length === 0) return kept
    for (const wish of wishes) addWish(wish)
  }
}

type Add = (path: string, reason: Reason) => void

/** What was observed, the blueprint's trees and files, and what its services cannot be run without. */
function addAskedFor({ blueprint, services, profile, components, layers }: KeepInput, addExact: Add, add: Add): void {
  addWholeTrees(blueprint, components, layers, addExact)
  for (const { path, created } of profile.paths) {
    if (created) addParent(path, layers, addExact)
    else add(path, { kind: 'observed', by: profile.methods.join(' ∪ ') })
  }
  const addProgram = (name: string, by: string) => {
    const program = findProgram(name, layers)
    if (program !== undefined) add(program, { kind: 'keep', by })
  }
  /** A probe that is a command runs on the node too. */
  const addProbe = (probe: Probe) => {
    if ('command' in probe) addProgram(probe.command[0]!, 'probe')
  }
  for (const service of services) {
    for (const { path } of service.directories) add(path, { kind: 'keep', by: 'writable' })
    for (const name of programsOf(service)) addProgram(name, service.unit ?? 'start')
    if (service.probe) addProbe(service.probe)
  }
  addProbe(blueprint.probe)
}

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
  add(parent, { kind: 'closure', by: `directory of ${path}`, from: path })
}
