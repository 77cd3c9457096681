import type { Component } from '../../repository/component.ts'
import type { Layers } from '../layers.ts'
import type { LackedPage } from '../observe/paged.ts'
import type { Named, Naming } from '../observe/trace.ts'
import { type Pages, unitePages } from '../pages.ts'
import type { World } from '../world.ts'

/** A file that the stack has and the bundle lacks, asked for while it was replayed. */
export interface Lack {
  readonly path: string
  /** Of a file that is kept by page, and is there: the pages that are not. */
  readonly pages?: Pages
  /** The component that would mend it. */
  readonly component: string
  readonly version: string
  /** The program that asked first, and its system call. */
  readonly process: string
  readonly call: string
}

/** Gathers from a trace what was asked for in vain. */
export class Lacks {
  readonly #layers: Layers
  readonly #components: readonly Component[]
  readonly #bundle: World
  readonly #gone: ReadonlySet<string>
  readonly #found = new Map<string, Lack>()

  /** `gone`: paths that the application removes by itself and then looks for, in the full stack too. */
  constructor(layers: Layers, components: readonly Component[], bundle: World, gone: ReadonlySet<string>) {
    this.#layers = layers
    this.#components = components
    this.#bundle = bundle
    this.#gone = gone
  }

  named({ path, followLast }: Named, { process, call, error }: Naming): void {
    if (error !== 'ENOENT') return
    const { path: real, walked } = this.#layers.world.resolve(path, followLast)
    // The first that is missing on the way: a link that is not there leads nowhere.
    const missing = [...walked, real].find((step) => this.#layers.at.has(step) && !this.#bundle.has(step))
    if (missing === undefined || this.#gone.has(missing) || this.#found.has(missing)) return
    const { name, version } = this.#components[this.#layers.at.get(missing)!.layer]!
    this.#found.set(missing, { path: missing, component: name, version, process, call })
  }

  /** Pages that were read of a file and not kept of it; or one that was to be written to, which no page mends. */
  lackPages(found: readonly LackedPage[]): void {
    for (const { path, page, process } of found) {
      const { name, version } = this.#components[this.#layers.at.get(path)!.layer]!
      const before = this.#found.get(path)
      const whole = page < 0 || (before !== undefined && before.pages === undefined)
      const pages = whole ? {} : { pages: unitePages(before?.pages ?? '-', String(page)) }
      const by = before ?? { process, call: page < 0 ? 'write' : 'read' }
      this.#found.set(path, { path, component: name, version, process: by.process, call: by.call, ...pages })
    }
  }

  /** Sorted by path. */
  found(): Lack[] {
    return [...this.#found.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
  }
}
