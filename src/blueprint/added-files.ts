import { posix } from 'node:path'
import type { Component, ComponentRef, Entry } from '../repository/component.ts'
import { canonicalJson, digestOf, shortDigest } from '../store/digest.ts'
import type { Store } from '../store/store.ts'
import { contentOf } from './observe/place.ts'
import type { Blueprint } from './schema.ts'

/** The files that a blueprint adds as a component of their own, with their contents in the store. */
export async function addedFiles(
  blueprint: Blueprint,
  store: Store,
): Promise<{ readonly component: Component; readonly ref: ComponentRef } | undefined> {
  if (blueprint.files.length === 0) return undefined
  const entries = new Map<string, Entry>()
  for (const added of blueprint.files) {
    const content = await contentOf(added)
    const [uid, gid] = added.owner.split(':').map(Number) as [number, number]
    const path = posix.normalize(added.path)
    const digest = await store.write(content)
    entries.set(path, {
      path,
      type: 'file',
      mode: Number.parseInt(added.mode, 8),
      uid,
      gid,
      size: content.length,
      digest,
    })
  }
  const sorted = [...entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
  const version = shortDigest(digestOf(canonicalJson(sorted)))
  const naming = { kind: 'configuration', name: 'files', version } as const
  const component: Component = { ...naming, architecture: 'all', mtime: 0, entries: sorted }
  return { component, ref: { ...naming, digest: await store.writeJson(component) } }
}
