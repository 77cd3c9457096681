import type { Reason, Selection } from '../../src/blueprint/selection.ts'
import type { Context } from '../../src/change/context.ts'
import { type BundleConfig, type BundleManifest, mediaTypes } from '../../src/compose/bundle-format.ts'
import type { Component, ComponentRef, Entry } from '../../src/repository/component.ts'
import { summaryOf } from '../../src/repository/recorded.ts'
import type { Stack } from '../../src/repository/stack.ts'
import { updateBlueprint } from '../../src/state/blueprints.ts'
import { moveChannel } from '../../src/state/channels.ts'
import { recordComponent } from '../../src/state/components.ts'
import { keys } from '../../src/state/keys.ts'
import type { Batch } from '../../src/store/batch.ts'
import { canonicalJson, type Digest, digestOf } from '../../src/store/digest.ts'

/** How much of a fleet is made up. */
export interface FleetSize {
  readonly blueprints: number
  /** In each stack; every bundle keeps files of all of them. */
  readonly components: number
  readonly nodes: number
}

/** Packages that stacks are drawn from, files of one, and how many of them a bundle keeps at most. */
const pool = { packages: 900, files: 60, kept: 16 }

export const packageName = (number: number): string => `package-${number}`
export const versions = ['1.0-1', '1.1-1', '1.2-1'] as const

/**
 * A store and a Redis as a fleet of this size would have left them: components, stacks, selections, bundles on channels,
 * and the bundle that each node runs. No file has any content; nothing here asks for one. Blueprints have one of two
 * versions of each package; the third is offered.
 */
export async function makeFleet(context: Context, size: FleetSize): Promise<void> {
  const { store, state } = context
  const batch = await store.batch()
  const refs = versions.map(() => [] as ComponentRef[])
  const components = new Map<Digest, Component>()
  for (let number = 0; number < pool.packages; number++) {
    for (const [index, version] of versions.entries()) {
      const component = packageOf(number, version)
      const ref = await put(batch, component)
      refs[index]!.push(ref)
      components.set(ref.digest, component)
      await recordComponent(state.redis, summaryOf(ref, component))
    }
  }
  const kernel = await put(batch, await kernelOf(batch))
  const busybox = await put(batch, component('deb', 'busybox-static', '1.35', [file('/usr/bin/busybox', '1.35')]))
  const bundles: Digest[] = []
  for (let number = 0; number < size.blueprints; number++) {
    const own = Array.from({ length: size.components }, (_, i) => {
      const which = (number * 37 + i * 3) % pool.packages
      return refs[(number + i) % 2]![which]!
    })
    bundles.push(await putBundle(batch, context, `app-${number}`, number, { own, components, kernel, busybox }))
  }
  await batch.commit()
  for (const [number, digest] of bundles.entries()) {
    const blueprint = `app-${number}`
    for (const channel of ['candidate', 'stable'] as const) {
      await moveChannel(state.redis, { blueprint, channel, digest, reason: 'made up' })
    }
  }
  const at = Date.now()
  const running = state.redis.pipeline()
  for (let node = 0; node < size.nodes; node++) {
    const octets = [node >> 16, (node >> 8) & 255, node & 255].map((byte) => byte.toString(16).padStart(2, '0'))
    const number = node % bundles.length
    const run = { blueprint: `app-${number}`, bundle: bundles[number], boot: String(node), at }
    running.hset(keys.runs(), `52:54:00:${octets.join(':')}`, JSON.stringify(run))
  }
  await running.exec()
}

const put = async (batch: Batch, made: Component): Promise<ComponentRef> => {
  const { kind, name, version } = made
  return { kind, name, version, digest: await batch.write(Buffer.from(canonicalJson(made))) }
}

const component = (kind: Component['kind'], name: string, version: string, entries: readonly Entry[]): Component => ({
  kind,
  name,
  version,
  architecture: 'amd64',
  mtime: 1_700_000_000,
  entries,
})

const file = (path: string, content: string): Entry => ({
  path,
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 1000,
  digest: digestOf(`${path} ${content}`),
})

/** From version to version every eighth file differs. */
function packageOf(number: number, version: string): Component {
  const name = packageName(number)
  const entries = Array.from({ length: pool.files }, (_, i) => {
    const path = `/usr/lib/x86_64-linux-gnu/${name}/part-${String(i).padStart(3, '0')}.so`
    return file(path, i % 8 === 0 ? version : 'always the same')
  })
  return component('deb', name, version, entries)
}

const release = '6.1.0-1-cloud-amd64'

/** Its modules are all built in. */
async function kernelOf(batch: Batch): Promise<Component> {
  const builtin = await batch.write(Buffer.from('kernel/virtio_pci.ko\nkernel/virtio_net.ko\n'))
  const entries = [
    file(`/boot/vmlinuz-${release}`, '6.1.1'),
    { ...file(`/usr/lib/modules/${release}/modules.builtin`, ''), digest: builtin },
  ]
  return component('kernel', release, '6.1.1-1', entries)
}

interface Parts {
  readonly own: readonly ComponentRef[]
  readonly components: ReadonlyMap<Digest, Component>
  readonly kernel: ComponentRef
  readonly busybox: ComponentRef
}

async function putBundle(
  batch: Batch,
  { state }: Context,
  name: string,
  number: number,
  { own, components, kernel, busybox }: Parts,
): Promise<Digest> {
  const write = (value: unknown) => batch.write(Buffer.from(canonicalJson(value)))
  const yaml = `name: ${name}\nstack: [{ deb: { packages: [${own[0]!.name}] } }]\nstart: { command: [/usr/bin/app] }\nprobe: { tcp: 80 }\n`
  const blueprint = await batch.write(Buffer.from(yaml))
  const stack: Stack = { components: own, kernel, busybox, installation: digestOf(name) }
  const stackDigest = await write(stack)
  const reason: Reason = { kind: 'observed', by: 'strace ∪ strictatime' }
  const selection: Selection = {
    blueprint: name,
    stack: stackDigest,
    profile: digestOf(name),
    parts: own.map((ref, index) => {
      const { entries, mtime } = components.get(ref.digest)!
      const from = (number + index) % 24
      const files = entries.slice(from, from + 1 + ((number * 7 + index) % pool.kept))
      return { component: ref, mtime, files: files.map((entry) => ({ ...entry, reason })) }
    }),
  }
  const selectionDigest = await write(selection)
  const config: BundleConfig = {
    blueprint: name,
    level: 'fast',
    cmdline: '',
    inputs: { blueprint, stack: stackDigest, profile: selection.profile, selection: selectionDigest },
    fileCount: 1,
    kernel: { release, version: '6.1.1-1' },
    segments: [],
    fullStack: { files: 1, bytes: 1 },
  }
  const record = { name, yaml, directory: '/', digest: blueprint, stackDigest, selectionDigest, updatedAt: 1 }
  await updateBlueprint(state.redis, name, () => record)
  const manifest: BundleManifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    artifactType: mediaTypes.bundle,
    config: { mediaType: mediaTypes.config, digest: await write(config), size: 1 },
    layers: [],
  }
  return write(manifest)
}
