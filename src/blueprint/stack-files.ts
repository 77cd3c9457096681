import type { Component } from '../repository/component.ts'
import type { Store } from '../store/store.ts'
import { type Layers, layersOf, matching } from './layers.ts'

/** Reads small text files of a stack, such as unit files and /etc/passwd, without a directory that it is installed in. */
export class StackFiles {
  readonly #layers: Layers
  readonly #components: readonly Component[]
  readonly #store: Store

  constructor(components: readonly Component[], store: Store) {
    this.#components = components
    this.#layers = layersOf(components)
    this.#store = store
  }

  /** The path without symlinks; it need not be there. */
  real(path: string): string {
    return this.#layers.world.resolve(path, true).path
  }

  has(path: string): boolean {
    return this.#layers.at.has(this.real(path))
  }

  /** Undefined for what is not there, is no file, or is larger than 1 MiB. */
  async read(path: string): Promise<string | undefined> {
    const entry = this.#layers.at.get(this.real(path))?.entry
    if (entry?.digest === undefined || entry.size > 1024 * 1024) return undefined
    return this.#store.readNow(entry.digest).toString('utf8')
  }

  /** The package, tree or other component that a path comes from. */
  ownerOf(path: string): string | undefined {
    const standing = this.#layers.at.get(this.real(path))
    return standing && this.#components[standing.layer]!.name
  }

  /** Names of what stands in a directory, sorted. */
  namesIn(directory: string): readonly string[] {
    const prefix = `${this.real(directory)}/`
    const matches = (path: string) => !path.includes('/', prefix.length)
    return matching({ prefix, matches, literal: undefined }, this.#layers).map((path) => path.slice(prefix.length))
  }
}
