import type { ComponentSummary } from '../state/components.ts'
import type { Batch } from '../store/batch.ts'
import { canonicalJson, type Digest } from '../store/digest.ts'
import type { Store } from '../store/store.ts'
import type { Component, ComponentRef } from './component.ts'

export async function writeComponent(component: Component, to: Batch | Store): Promise<ComponentRef> {
  const digest = await to.write(Buffer.from(canonicalJson(component)))
  return { kind: component.kind, name: component.name, version: component.version, digest }
}

export function summaryOf(ref: ComponentRef, component: Component): ComponentSummary {
  const files = component.entries.filter((entry) => entry.type !== 'dir')
  return { ...ref, files: files.length, bytes: files.reduce((sum, entry) => sum + entry.size, 0) }
}

const loaded = new WeakMap<Store, Map<Digest, Promise<Component>>>()
/** As many as a few stacks have: a server that watches a site for months must not keep every state of it. */
const remembered = 1024

/** Reads a component; again from memory, since a blob never changes. */
export function loadComponent(ref: Pick<ComponentRef, 'digest'>, store: Store): Promise<Component> {
  const known = loaded.get(store) ?? new Map<Digest, Promise<Component>>()
  loaded.set(store, known)
  const found = known.get(ref.digest)
  if (found) return found
  const reading = store.readJson<Component>(ref.digest)
  reading.catch(() => known.delete(ref.digest))
  known.set(ref.digest, reading)
  if (known.size > remembered) known.delete(known.keys().next().value!)
  return reading
}
