import { posix } from 'node:path'
import type { Touch, TouchedPath } from '../profile.ts'
import type { World } from '../world.ts'
import type { Named } from './trace.ts'

const order: readonly Touch[] = ['open', 'exec', 'stat', 'readdir', 'symlink', 'create', 'kernel']
/** The root itself, and what the kernel makes: no component holds them. */
const kernelOwned = /^\/((proc|sys|dev)(\/|$)|$)/

/** Gathers what was touched, from both methods, into what a profile holds. */
export class Touched {
  readonly #world: World
  readonly #how = new Map<string, Set<Touch>>()
  readonly #created = new Set<string>()

  constructor(world: World) {
    this.#world = world
  }

  /** A path that a system call named. Looking for what is not there leaves no mark. */
  named({ path, touch, followLast, creates, fresh }: Named): void {
    const { path: found, walked } = this.#world.resolve(path, followLast)
    const exists = this.#world.has(found)
    if (!exists && !creates) return
    for (const link of walked) this.#add(link, 'symlink')
    if (exists) this.#add(found, touch === 'symlink' && !this.#world.isLink(found) ? 'stat' : touch)
    else this.#create(found, fresh)
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
    const existing = [...this.#how].map(([path, how]) => ({ path, how: order.filter((touch) => how.has(touch)) }))
    const created = [...this.#created].map((path) => ({ path, how: ['create'] as const, created: true as const }))
    return [...existing, ...created].sort((a, b) => (a.path < b.path ? -1 : 1))
  }

  #add(path: string, touch: Touch): void {
    if (kernelOwned.test(path)) return
    const how = this.#how.get(path)
    if (how) how.add(touch)
    else this.#how.set(path, new Set([touch]))
  }

  /**
   * The directory that something is made in counts as written to. The thing itself is named only where the next run
   * would make it under the same name: names with digits (process ids, dates) and those chosen to be new would make
   * equal observations differ.
   */
  #create(path: string, fresh: boolean): void {
    if (kernelOwned.test(path)) return
    let parent = posix.dirname(path)
    while (!this.#world.has(parent)) parent = posix.dirname(parent)
    this.#add(parent, 'create')
    const isVolatile = fresh || /\d/.test(path.slice(parent.length))
    if (!isVolatile) this.#created.add(path)
  }
}
