import { componentsOfDebs, recordDebComponents } from '../../state/components.ts'
import type { Component, ComponentRef } from '../component.ts'
import type { RepositoryContext } from '../context.ts'
import type { ResolvedPackage } from '../deb/resolve.ts'
import { summaryOf, writeComponent } from '../recorded.ts'

/** Where the source's .deb stands in its component: it is taken apart only when something is built of it. */
const archivePath = (name: string) => `/usr/src/${name}.deb`

/** A linux-source package as a component of kind `kernel`: what a kernel is built from. Its .deb is in the store. */
export async function kernelSourceComponent(one: ResolvedPackage, context: RepositoryContext): Promise<ComponentRef> {
  const { store, state } = context
  const { name, version, architecture, deb } = one
  const [known] = await componentsOfDebs(state.redis, 'kernel', [deb])
  if (known && (await store.has(known))) return { kind: 'kernel', name, version, digest: known }
  const component: Component = {
    kind: 'kernel',
    name,
    version,
    architecture,
    sourcePackage: { name: 'linux', version },
    mtime: 0,
    entries: [
      {
        path: archivePath(name),
        type: 'file',
        mode: 0o644,
        uid: 0,
        gid: 0,
        size: (await store.size(deb))!,
        digest: deb,
      },
    ],
  }
  const ref = await writeComponent(component, store)
  await recordDebComponents(state.redis, 'kernel', [{ deb, summary: summaryOf(ref, component) }])
  return ref
}

/** The .deb of a kernel's source; undefined of a kernel that is there to be booted. */
export const sourceArchive = (kernel: Component) =>
  kernel.entries.find(({ path, digest }) => path === archivePath(kernel.name) && digest !== undefined)
