import type { Selection } from '../blueprint/selection.ts'
import { loadComponent } from '../repository/recorded.ts'
import type { Stack } from '../repository/stack.ts'
import type { Digest } from '../store/digest.ts'
import type { Store } from '../store/store.ts'

/**
 * A selection of everything that a stack holds: the golden image, to compare a bundle with. `profile` is the stack's
 * own digest, for nothing was observed.
 */
export async function selectEverything(
  stack: Stack,
  stackDigest: Digest,
  blueprint: string,
  store: Store,
): Promise<Selection> {
  const reason = { kind: 'keep', by: 'the full stack' } as const
  const parts = await Promise.all(
    stack.components.map(async (component) => {
      const { mtime, entries } = await loadComponent(component, store)
      return { component, mtime, files: entries.map((entry) => ({ ...entry, reason })) }
    }),
  )
  return { blueprint, stack: stackDigest, profile: stackDigest, parts: parts.filter(({ files }) => files.length > 0) }
}
