import type { Selection } from '../blueprint/selection.ts'
import type { Component, ComponentRef } from '../repository/component.ts'
import { loadComponent } from '../repository/recorded.ts'
import type { Stack } from '../repository/stack.ts'
import type { Digest } from '../store/digest.ts'
import type { Store } from '../store/store.ts'

/**
 * A selection of everything that a stack holds, and of the files that the blueprint adds: to compare a bundle with, and
 * to learn from. `profile` is the stack's own digest, for nothing was observed.
 */
export async function selectEverything(
  stack: Stack,
  stackDigest: Digest,
  blueprint: string,
  store: Store,
  added?: { readonly component: Component; readonly ref: ComponentRef },
): Promise<Selection> {
  const reason = { kind: 'keep', by: 'the full stack' } as const
  const parts = await Promise.all(
    stack.components.map(async (component) => {
      const { mtime, entries } = await loadComponent(component, store)
      return { component, mtime, files: entries.map((entry) => ({ ...entry, reason })) }
    }),
  )
  if (added) {
    const { mtime, entries } = added.component
    parts.push({ component: added.ref, mtime, files: entries.map((entry) => ({ ...entry, reason })) })
  }
  return { blueprint, stack: stackDigest, profile: stackDigest, parts: parts.filter(({ files }) => files.length > 0) }
}
