import { posix } from 'node:path'
import { type Touch, type TouchedPath, touches } from '../profile.ts'
import type { World } from '../world.ts'
import type { Named, Naming } from './trace.ts'

/** The root itself, and what the kernel makes: no component holds them. */
const kernelOwned = /^\/((proc|sys|dev)(\/|$)|$)/

/** The first process that touched a path, and its system call. */
export interface Toucher {
  readonly process: string
  readonly call: string
}

/** Names that are not there are looked for along every search path; enough of them to tell of is kept. */
const mostAbsent = 20_000

/** Gathers what was touched, from all methods, into what a profile holds. */
export class Touched {
  readonly #world: World
  readonly #how = new Map<string, Set<Touch>>()
  readonly #created = new Set<string>()
  readonly #first = new Map<string, Toucher>()
  readonly #gone = new Set<string>()
  readonly #absent = new Map<string, Toucher>()
  readonly #onNew: (path: string, toucher: Toucher | undefined) => void

  /** `onNew` is told each path of the stack once, when it is first touched. */
  constructor(world: World, onNew: (path: string, toucher: Toucher | undefined) => void = () => {}) {
    this.#world = world
    this.#onNew = onNew
  }

  /** A path that a system call named. Looking for what is not there is no part of the profile. */
  named({ path, touch, followLast, creates, fresh }: Named, naming?: Naming): void {
    const { path: found, walked } = this.#world.resolve(path, followLast)
    const exists = this.#world.has(found)
    const toucher = naming && { process: naming.process, call: naming.call }
    if (!exists && !creates) {
      const isNew = !this.#absent.has(found) && this.#absent.size < mostAbsent && !kernelOwned.test(found)
      if (toucher && isNew) this.#absent.set(found, toucher)
      return
    }
    for (const link of walked) this.#add(link, 'symlink', toucher)
    if (exists) this.#add(found, touch === 'symlink' && !this.#world.isLink(found) ? 'stat' : touch, toucher)
    else this.#create(found, fresh, toucher)
    if (exists && naming?.error === 'ENOENT') this.#gone.add(found)
  }

  /** A path (not a directory) whose access time moved: it was read, by whomever, or walked if it is a symlink. */
  read(path: string): void {
    if (!this.#world.has(path)) return
    if (this.#world.isLink(path)) this.#add(path, 'symlink')
    else if (!this.#how.get(path)?.has('open') && !this.#how.get(path)?.has('exec')) this.#add(path, 'kernel')
  }

  counts(): { paths: number; created: number; kernelOnly: number } {
    const kernelOnly = [...this.#how.values()].filter((how) => how.size === 1 && how.has('kernel')).length
    return { paths: this.#how.size, created: this.#created.size, kernelOnly }
  }

  paths(): TouchedPath[] {
    const existing = [...this.#how].map(([path, how]) => ({ path, how: touches.filter((touch) => how.has(touch)) }))
    const created = [...this.#created].map((path) => ({ path, how: ['create'] as const, created: true as const }))
    return [...existing, ...created].sort((a, b) => (a.path < b.path ? -1 : 1))
  }

  /** Who touched what first; what only the kernel or an access time tells of is not there. */
  first(): Record<string, Toucher> {
    return Object.fromEntries([...this.#first].sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  /** Who looked first for a path that the stack does not have. */
  absent(): Record<string, Toucher> {
    return Object.fromEntries([...this.#absent].sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  /** Paths of the stack that were asked for when the application had removed them already. */
  gone(): string[] {
    return [...this.#gone].sort()
  }

  #add(path: string, touch: Touch, toucher?: Toucher): void {
    if (kernelOwned.test(path)) return
    if (toucher && !this.#first.has(path)) this.#first.set(path, toucher)
    const how = this.#how.get(path)
    if (how) {
      how.add(touch)
      return
    }
    this.#how.set(path, new Set([touch]))
    this.#onNew(path, toucher)
  }

  /**
   * The directory that something is made in counts as written to. The thing itself is named only where the next run
   * would make it under the same name: names with digits (process ids, dates) and those chosen to be new would make
   * equal observations differ.
   */
  #create(path: string, fresh: boolean, toucher?: Toucher): void {
    if (kernelOwned.test(path)) return
    let parent = posix.dirname(path)
    while (!this.#world.has(parent)) parent = posix.dirname(parent)
    this.#add(parent, 'create', toucher)
    const isVolatile = fresh || /\d/.test(path.slice(parent.length))
    if (isVolatile) return
    this.#created.add(path)
    if (toucher && !this.#first.has(path)) this.#first.set(path, toucher)
  }
}
