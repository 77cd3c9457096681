import type { Context } from '../../src/change/context.ts'
import { type BundleConfig, type BundleManifest, mediaTypes } from '../../src/compose/bundle-format.ts'
import type { Component, ComponentRef, Entry } from '../../src/repository/component.ts'
import { summaryOf, writeComponent } from '../../src/repository/recorded.ts'
import { updateBlueprint } from '../../src/state/blueprints.ts'
import { type ChannelName, moveChannel } from '../../src/state/channels.ts'
import { recordComponent } from '../../src/state/components.ts'
import { type Digest, digestOf } from '../../src/store/digest.ts'

/** Components, selections and bundles by hand, as resolving, selecting and weaving would have left them. */
export type Files = Readonly<Record<string, string>>

const entry = (path: string, content: string): Entry => ({
  path,
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: content.length,
  digest: digestOf(content),
})

export async function putComponent(
  { store, state }: Context,
  name: string,
  version: string,
  files: Files,
  { kind = 'deb', source }: { kind?: Component['kind']; source?: { name: string; version: string } } = {},
): Promise<ComponentRef> {
  const entries = Object.entries(files).map(([path, content]) => entry(path, content))
  entries.sort((a, b) => (a.path < b.path ? -1 : 1))
  const sourcePackage = source ? { sourcePackage: source } : {}
  const component: Component = { kind, name, version, architecture: 'amd64', ...sourcePackage, mtime: 1, entries }
  for (const content of Object.values(files)) await store.write(Buffer.from(content))
  const ref = await writeComponent(component, store)
  await recordComponent(state.redis, summaryOf(ref, component))
  return ref
}

const release = '6.1.0-1-cloud-amd64'

/** A bundle that keeps the paths of `kept` of its components, and the channels that point to it. */
export async function publishBundle(
  context: Context,
  name: string,
  components: readonly ComponentRef[],
  kept: readonly string[],
  { channels = ['candidate', 'stable'], more = '' }: { channels?: readonly ChannelName[]; more?: string } = {},
): Promise<Digest> {
  const { store, state } = context
  const kernel = await putComponent(
    context,
    release,
    '6.1.1-1',
    {
      [`/boot/vmlinuz-${release}`]: 'kernel',
      [`/usr/lib/modules/${release}/modules.builtin`]: 'virtio_pci\nvirtio_net\n',
    },
    { kind: 'kernel' },
  )
  const busybox = await putComponent(context, 'busybox-static', '1.35', { '/usr/bin/busybox': 'busybox' })
  const yaml = `name: ${name}\nstack: [{ deb: { packages: [app] } }]\nstart: { command: [/app] }\nprobe: { tcp: 80 }\n${more}`
  const blueprint = await store.write(Buffer.from(yaml))
  const stack = await store.writeJson({ components, kernel, busybox, installation: digestOf(name) })
  const parts = await Promise.all(
    components.map(async (component) => {
      const { entries } = await store.readJson<Component>(component.digest)
      const reason = { kind: 'observed', by: 'the test' }
      return {
        component,
        mtime: 1,
        files: entries.filter(({ path }) => kept.includes(path)).map((one) => ({ ...one, reason })),
      }
    }),
  )
  const profile = digestOf(name)
  const selection = await store.writeJson({
    blueprint: name,
    stack,
    profile,
    parts: parts.filter(({ files }) => files.length > 0),
  })
  const config: BundleConfig = {
    blueprint: name,
    level: 'fast',
    cmdline: '',
    inputs: { blueprint, stack, profile, selection },
    fileCount: 1,
    kernel: { release, version: '6.1.1-1' },
    segments: [],
    fullStack: { files: 1, bytes: 1 },
  }
  const manifest: BundleManifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    artifactType: mediaTypes.bundle,
    config: { mediaType: mediaTypes.config, digest: await store.writeJson(config), size: 1 },
    layers: [],
  }
  const bundle = await store.writeJson(manifest)
  await updateBlueprint(state.redis, name, () => ({ name, yaml, directory: '/', digest: blueprint, updatedAt: 1 }))
  for (const channel of channels)
    await moveChannel(state.redis, { blueprint: name, channel, digest: bundle, reason: 'test' })
  return bundle
}
