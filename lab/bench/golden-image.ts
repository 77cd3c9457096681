import { join } from 'node:path'
import { stringify } from 'yaml'
import type { Blueprint } from '../../src/blueprint/schema.ts'
import { planDrivers } from '../../src/compose/base.ts'
import { writeCpio } from '../../src/compose/cpio.ts'
import { weaveFrame } from '../../src/compose/frame.ts'
import { openAptRoot } from '../../src/repository/deb/apt.ts'
import { aptSources } from '../../src/repository/deb/sources.ts'
import { loadComponent } from '../../src/repository/recorded.ts'
import type { Stack } from '../../src/repository/stack.ts'
import type { Digest } from '../../src/store/digest.ts'
import { Store } from '../../src/store/store.ts'
import { paths } from '../place.ts'
import type { BenchLab } from './bench-lab.ts'

/** Bytes compressed at the fast level, the kernel itself not counted. */
export interface GoldenImage {
  /** Without the kernel's modules. */
  readonly files: number
  readonly size: number
  /** All modules of the kernel's package, which such an image carries for whatever it may run on. */
  readonly modules: number
}

/** What debootstrap installs by default: a system that starts by itself. */
const base = ['?essential', '?priority(required)', '?priority(important)', 'apt']

/**
 * What an admin would have made for the application without Bootloom: Debian's base system, the blueprint's packages
 * with what they recommend, its trees and files, and the kernel with its modules. Woven as one bundle of everything.
 */
export async function goldenImage({ place, api, compose }: BenchLab, name: string): Promise<GoldenImage> {
  const { blueprint, stackDigest } = await api.request<{ blueprint: Blueprint; stackDigest: Digest }>(
    'GET',
    `/v1/blueprints/${name}`,
  )
  const stack = await Promise.all(
    blueprint.stack.map(async (source) =>
      'deb' in source ? { deb: { ...source.deb, packages: await withBase(place, source.deb) } } : source,
    ),
  )
  // It is only weighed: how it starts is one line, and nothing runs it.
  const image = { name: `${name}-image`, stack, files: blueprint.files, start: { command: ['/bin/true'] } }
  await api.request('POST', '/v1/blueprints', { yaml: stringify({ ...image, probe: { tcp: 1 } }), directory: '/' })
  const { rows, totals } = await compose(image.name, { level: 'fast', full: true })
  const own = rows.find((row) => row.kind === 'drivers')
  return {
    files: totals.files - (own?.files ?? 0),
    size: totals.size - (own?.size ?? 0),
    modules: await modulesOf(await Store.open(join(paths.state(place), 'store')), stackDigest),
  }
}

type Deb = Extract<Blueprint['stack'][number], { deb: unknown }>['deb']

/** Names of all packages, as apt resolves them by its own defaults, recommendations taken. */
async function withBase(place: BenchLab['place'], deb: Deb): Promise<string[]> {
  const { apt } = await openAptRoot(paths.state(place), await aptSources(deb))
  const words = ['install', '--simulate', '--assume-yes', '--install-recommends', '--', ...base, ...deb.packages]
  return [...(await apt('apt-get', words)).matchAll(/^Inst (\S+) /gm)].map(([, found]) => found!)
}

async function modulesOf(store: Store, stackDigest: Digest): Promise<number> {
  const kernel = await loadComponent((await store.readJson<Stack>(stackDigest)).kernel, store)
  const modules = kernel.entries.flatMap(({ path, size, digest }) =>
    path.endsWith('.ko') && digest ? [{ path, size, digest }] : [],
  )
  const { entries } = planDrivers(kernel, modules)
  const members = await Promise.all(
    entries.map(async (entry) => (entry.digest ? { ...entry, content: await store.read(entry.digest) } : entry)),
  )
  return (await weaveFrame(Buffer.concat(writeCpio(members, 0)), 3)).length
}
