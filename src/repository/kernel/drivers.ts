import type { Store } from '../../store/store.ts'
import type { Component } from '../component.ts'
import { moduleLines } from './kernel.ts'

/** The drivers of a kernel for some devices. */
export interface Drivers {
  /** Modules by name. */
  readonly modules: readonly string[]
  /** Modaliases that neither a module nor what is built in serves. */
  readonly unserved: readonly string[]
}

interface Alias {
  readonly pattern: string
  /** Letters before the first that stands for others: most patterns differ in these. */
  readonly literal: string
  /** Undefined: built in. */
  readonly module: string | undefined
}

/**
 * What serves the devices by their modaliases, as modprobe(8) finds it: every module of which a pattern in modules.alias
 * fits. `takes`: which modules are wanted at all, by their place below the kernel's directory, as
 * `kernel/drivers/net/tun.ko`; a device that only others serve is served all the same.
 */
export async function driversFor(
  kernel: Component,
  store: Store,
  modaliases: readonly string[],
  takes: (path: string) => boolean,
): Promise<Drivers> {
  const { aliases, places } = await indexOf(kernel, store)
  const modules = new Set<string>()
  const unserved: string[] = []
  for (const modalias of modaliases) {
    const name = normalised(modalias)
    const found = (aliases.get(busOf(name)) ?? []).filter(
      ({ literal, pattern }) => name.startsWith(literal) && matches(pattern, name),
    )
    if (found.length === 0) unserved.push(modalias)
    for (const { module } of found) {
      const path = module === undefined ? undefined : places.get(module)
      if (path !== undefined && takes(path)) modules.add(module!)
    }
  }
  return { modules: [...modules].sort(), unserved }
}

interface Index {
  /** By bus: what stands before the first colon. */
  readonly aliases: ReadonlyMap<string, readonly Alias[]>
  /** Module → place below the kernel's directory. */
  readonly places: ReadonlyMap<string, string>
}

const indexes = new WeakMap<Component, Promise<Index>>()

function indexOf(kernel: Component, store: Store): Promise<Index> {
  const known = indexes.get(kernel) ?? readIndex(kernel, store)
  indexes.set(kernel, known)
  return known
}

async function readIndex(kernel: Component, store: Store): Promise<Index> {
  const [asModules, builtIn, dependencies] = await Promise.all([
    moduleLines(kernel, store, 'modules.alias'),
    // Strings `MODULE.alias=PATTERN`, each with a zero byte behind it.
    moduleLines(kernel, store, 'modules.builtin.modinfo', '\0'),
    moduleLines(kernel, store, 'modules.dep'),
  ])
  const aliases = new Map<string, Alias[]>()
  const add = (text: string, module: string | undefined) => {
    const pattern = normalised(text)
    const bus = busOf(pattern)
    const alias = { pattern, literal: pattern.replace(/[*?[].*$/s, ''), module }
    const same = aliases.get(bus)
    if (same) same.push(alias)
    else aliases.set(bus, [alias])
  }
  for (const line of asModules) {
    const [, pattern, module] = /^alias (\S+) (\S+)$/.exec(line) ?? []
    if (pattern && module) add(pattern, module.replaceAll('-', '_'))
  }
  for (const line of builtIn) {
    const [, pattern] = /^[^=]+\.alias=(.+)$/s.exec(line) ?? []
    if (pattern) add(pattern, undefined)
  }
  const places = new Map(
    dependencies.map((line) => {
      const path = line.split(':')[0]!
      const name = path.replace(/^.*\//, '').replace(/\.ko(\.\w+)?$/, '')
      return [name.replaceAll('-', '_'), path]
    }),
  )
  return { aliases, places }
}

const busOf = (alias: string): string => alias.split(':')[0]!.replace(/[*?[].*$/s, '')

/** As kmod compares: dashes as underscores, but for those in brackets. */
const normalised = (text: string): string => text.replace(/\[[^\]]*\]|-/g, (found) => (found === '-' ? '_' : found))

/** fnmatch(3) without flags, as patterns of modules use it: `*`, `?` and `[…]`. */
export function matches(pattern: string, text: string): boolean {
  let [p, t] = [0, 0]
  let star = -1
  let after = 0
  while (t < text.length) {
    const set = pattern[p] === '[' ? /^\[([!^]?)(\]?[^\]]*)\]/.exec(pattern.slice(p)) : null
    if (pattern[p] === '*') {
      star = p++
      after = t
    } else if (p < pattern.length && (set ? isIn(set, text[t]!) : pattern[p] === '?' || pattern[p] === text[t])) {
      p += set ? set[0].length : 1
      t++
    } else if (star < 0) {
      return false
    } else {
      // One letter more for the last star.
      p = star + 1
      t = ++after
    }
  }
  while (pattern[p] === '*') p++
  return p === pattern.length
}

function isIn([, negated, letters]: RegExpExecArray, letter: string): boolean {
  let found = false
  for (let i = 0; i < letters!.length; i++) {
    const last = letters![i + 1] === '-' && i + 2 < letters!.length ? letters![i + 2]! : letters![i]!
    if (letter >= letters![i]! && letter <= last) found = true
    if (last !== letters![i]) i += 2
  }
  return found !== (negated !== '')
}
