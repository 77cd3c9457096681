import type { BundleConfig, SegmentSummary } from '../compose/bundle-format.ts'
import { segmentRecipe } from '../compose/recipe.ts'
import type { Digest } from '../store/digest.ts'
import type { Store } from '../store/store.ts'

/** Segments whose recipes are kept, and files of one: beyond it, it is fetched. */
const most = { kept: 300, files: 5_000 }

/** What a running node need not fetch of its next bundle, because it has it already. */
export class Recipes {
  readonly #store: Store
  readonly #known = new Map<Digest, Promise<string>>()

  constructor(store: Store) {
    this.#store = store
  }

  /**
   * The segments of the next bundle in order: a line of `=` and its bytes for each, and what it holds where the running
   * one has the same. The node looks whether it still does, and fetches what it does not.
   */
  async of(next: BundleConfig, running: BundleConfig): Promise<string> {
    const had = new Set(running.segments.flatMap(namesOf))
    const parts: string[] = []
    for (const segment of next.segments) {
      // Drivers are taken away once they are loaded.
      const has = segment.kind !== 'drivers' && segment.files <= most.files && namesOf(segment).some((n) => had.has(n))
      const recipe = has ? await this.#recipe(segment.digest) : ''
      parts.push(`=${segment.size}\n${recipe.length * 2 < segment.size ? recipe : ''}`)
    }
    return parts.join('')
  }

  #recipe(segment: Digest): Promise<string> {
    const known = this.#known.get(segment)
    if (known) return known
    const recipe = segmentRecipe(this.#store, segment)
    this.#known.set(segment, recipe)
    recipe.catch(() => this.#known.delete(segment))
    if (this.#known.size > most.kept) this.#known.delete(this.#known.keys().next().value!)
    return recipe
  }
}

/** By its digest, or as the same version of the same, compressed otherwise. */
const namesOf = ({ digest, kind, name, version, raw }: SegmentSummary): string[] => [
  digest,
  `${kind} ${name} ${version} ${raw}`,
]
