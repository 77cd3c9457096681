import type { Blueprint } from '../../src/blueprint/schema.ts'
import { blueprintSchema } from '../../src/blueprint/schema.ts'
import type { SelectedPart, Selection } from '../../src/blueprint/selection.ts'
import type { Component, ComponentKind, ComponentRef, Entry } from '../../src/repository/component.ts'
import type { Stack } from '../../src/repository/stack.ts'
import { digestOf } from '../../src/store/digest.ts'
import type { Store } from '../../src/store/store.ts'

/** A file by its content, a directory by `null`, a symlink by its target. */
export type Tree = Readonly<Record<string, Uint8Array | string | null | { readonly to: string }>>

const mtime = 1_700_000_000

/** Stores files as a component, as a source would. */
export async function componentOf(
  store: Store,
  kind: ComponentKind,
  name: string,
  version: string,
  tree: Tree,
  modes: Readonly<Record<string, number>> = {},
): Promise<ComponentRef> {
  const entries = await Promise.all(
    Object.entries(tree).map(async ([path, content]): Promise<Entry> => {
      const owner = { path, uid: 0, gid: 0, size: 0 }
      if (content === null) return { ...owner, type: 'dir', mode: modes[path] ?? 0o755 }
      if (typeof content === 'object' && 'to' in content) {
        return { ...owner, type: 'symlink', mode: 0o777, target: content.to }
      }
      const bytes = Buffer.from(content)
      const mode = modes[path] ?? (path.includes('/bin/') ? 0o755 : 0o644)
      return { ...owner, type: 'file', mode, size: bytes.length, digest: await store.write(bytes) }
    }),
  )
  entries.sort((a, b) => (a.path < b.path ? -1 : 1))
  const component: Component = { kind, name, version, architecture: 'amd64', mtime, entries }
  return { kind, name, version, digest: await store.writeJson(component) }
}

/** Everything that these components hold, as select() would hand it over. */
export async function selectionOf(store: Store, components: readonly ComponentRef[]): Promise<Selection> {
  const parts = await Promise.all(
    components.map(async (component): Promise<SelectedPart> => {
      const { entries } = await store.readJson<Component>(component.digest)
      const reason = { kind: 'keep', by: 'the test' } as const
      return { component, mtime, files: entries.map((entry) => ({ ...entry, reason })) }
    }),
  )
  return { blueprint: 'test', stack: digestOf('stack'), profile: digestOf('profile'), parts }
}

export function stackOf(components: readonly ComponentRef[], kernel: ComponentRef, busybox: ComponentRef): Stack {
  return { components, kernel, busybox, installation: digestOf('installation') }
}

export function blueprintOf(more: Readonly<Record<string, unknown>> = {}): Blueprint {
  return blueprintSchema.parse({
    name: 'test',
    stack: [{ deb: { packages: ['busybox-static'] } }],
    start: { command: ['/bin/true'] },
    probe: { tcp: 80 },
    ...more,
  })
}
