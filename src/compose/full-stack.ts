import type { Selection } from '../blueprint/selection.ts'
import type { Component, Entry } from '../repository/component.ts'
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
      const { mtime, entries } = await store.readJson<Component>(component.digest)
      return { component, mtime, files: entries.map((entry) => ({ ...entry, reason })) }
    }),
  )
  return { blueprint, stack: stackDigest, profile: stackDigest, parts: parts.filter(({ files }) => files.length > 0) }
}

/** Paths (directories not counted) and bytes before compression of what a golden image would have shipped. */
export async function measureFullStack(stack: Stack, store: Store): Promise<{ files: number; bytes: number }> {
  const paths = new Map<string, Entry>()
  for (const component of stack.components) {
    for (const entry of (await store.readJson<Component>(component.digest)).entries) paths.set(entry.path, entry)
  }
  let files = 0
  let bytes = 0
  for (const entry of paths.values()) {
    if (entry.type !== 'dir') files++
    bytes += entry.size
  }
  return { files, bytes }
}
