import { BootloomError } from '../config/errors.ts'
import { nearest } from '../config/nearest.ts'
import type { Component } from '../repository/component.ts'
import type { Store } from '../store/store.ts'
import { needsReader } from './closure/needs.ts'
import { parseGlob } from './glob.ts'
import { type Layers, layersOf } from './layers.ts'
import type { Toucher } from './observe/touched.ts'
import type { Rule } from './rules.ts'
import type { Selection } from './selection.ts'
import type { Witness } from './why.ts'

/** What is known of a path that a bundle does not carry. */
export interface WhyNot {
  readonly path: string
  /** Undefined: no component of the stack has it. */
  readonly component?: { readonly name: string; readonly version: string; readonly type: string; readonly size: number }
  /** A path of the stack that is spelt almost like it, where the stack does not have it. */
  readonly nearest?: string
  /** Who looked for it first while the application was watched, where the stack does not have it. */
  readonly lookedFor?: Toucher
  /** Touched while the application was watched. */
  readonly touched?: { readonly how: readonly string[]; readonly process?: string; readonly call?: string }
  /** The `drop` of the blueprint that keeps it out. */
  readonly droppedBy?: string
  /** Rules that would add it, and what none of the selected paths matched. */
  readonly rules: readonly { readonly name: string; readonly why: string; readonly when: readonly string[] }[]
  /** Rules that add its neighbours and leave it out by name. */
  readonly exceptedBy: readonly string[]
  /** Paths left out as well that could not do without it, sorted; twenty at most. */
  readonly neededBy: readonly { readonly path: string; readonly by: string }[]
}

interface WhyNotInput {
  readonly selection: Selection
  /** Those of the stack, in its order. */
  readonly components: readonly Component[]
  readonly witness: Witness
  readonly rules: readonly Rule[]
  /** The blueprint's globs. */
  readonly drop: readonly string[]
  readonly store: Store
}

const mostNeeders = 20

/** Why a path is not in the bundle. `path` is the one that it really has. Throws IS_SELECTED. */
export async function whyNotOf(path: string, input: WhyNotInput): Promise<WhyNot> {
  const { components, rules, drop, store } = input
  const kept = new Set(input.selection.parts.flatMap(({ files }) => files.map((file) => file.path)))
  if (kept.has(path)) throw new BootloomError('IS_SELECTED', `${path} is in the bundle`, { where: path })
  const layers = layersOf(components)
  const standing = layers.at.get(path)
  const touched = touchedAs(path, input.witness)
  const droppedBy = drop.find((text) => parseGlob(text).matches(path))
  if (!standing) {
    const close = nearestPath(path, layers)
    const lookedFor = input.witness.absent?.[path]
    return {
      path,
      ...(close === undefined ? {} : { nearest: close }),
      ...(lookedFor && { lookedFor }),
      ...(touched && { touched }),
      rules: [],
      exceptedBy: [],
      neededBy: [],
    }
  }
  const { name, version } = components[standing.layer]!
  const adding = rules.filter(({ add }) => add.some((glob) => glob.matches(path)))
  const isExcepted = ({ except }: Rule) => except.some((glob) => glob.matches(path))
  return {
    path,
    component: { name, version, type: standing.entry.type, size: standing.entry.size },
    ...(touched && { touched }),
    ...(droppedBy === undefined ? {} : { droppedBy }),
    rules: adding
      .filter((rule) => !isExcepted(rule))
      .map(({ name, why, when = [] }) => ({ name, why, when: when.map(({ text }) => text) })),
    exceptedBy: adding.filter(isExcepted).map(({ name }) => name),
    neededBy: await needersOf(path, kept, layers, store),
  }
}

function touchedAs(path: string, { profile, first }: Witness): WhyNot['touched'] {
  const found = profile.paths.find((touched) => touched.path === path)
  const toucher = first?.[path]
  if (!found) return undefined
  return { how: found.how, ...(toucher && { process: toucher.process, call: toucher.call }) }
}

/** The same name elsewhere, or a name in the same directory that is spelt almost alike. */
function nearestPath(path: string, { paths }: Layers): string | undefined {
  const name = path.slice(path.lastIndexOf('/'))
  const elsewhere = paths.find((other) => other.endsWith(name))
  if (elsewhere !== undefined) return elsewhere
  const directory = path.slice(0, path.lastIndexOf('/') + 1)
  const siblings = paths.filter((other) => other.startsWith(directory) && !other.includes('/', directory.length))
  return nearest(path, siblings)
}

/** What is left out too, and would be of no use without the path: links to it, what it is loaded for, its scripts. */
async function needersOf(path: string, kept: ReadonlySet<string>, layers: Layers, store: Store) {
  const needsOf = await needsReader(layers, store)
  const found: { path: string; by: string }[] = []
  for (const candidate of layers.paths) {
    if (found.length === mostNeeders) break
    const standing = layers.at.get(candidate)!
    const { type, mode } = standing.entry
    const mayNeed = type === 'symlink' || type === 'hardlink' || (mode & 0o111) !== 0 || /\.so(\.|$)/.test(candidate)
    if (kept.has(candidate) || type === 'dir' || candidate === path || !mayNeed) continue
    const needs = await needsOf(candidate, standing)
    const need = needs.find((one) => !one.by.startsWith('directory of') && leadsTo(one.path, path, layers))
    if (need) found.push({ path: candidate, by: need.by })
  }
  return found
}

function leadsTo(needed: string, path: string, { world }: Layers): boolean {
  if (needed === path) return true
  const { path: real, walked } = world.resolve(needed, true)
  return real === path || walked.includes(path)
}
