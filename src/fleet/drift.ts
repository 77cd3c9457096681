import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { zstdDecompress } from 'node:zlib'
import type { Blueprint } from '../blueprint/schema.ts'
import { servicesOf } from '../blueprint/services.ts'
import type { BundleConfig, BundleManifest } from '../compose/bundle-format.ts'
import { type CpioRecord, readCpio } from '../compose/cpio-reader.ts'
import { initramfsParts } from '../compose/initramfs.ts'
import { loadComponent } from '../repository/recorded.ts'
import type { Stack } from '../repository/stack.ts'
import type { Digest } from '../store/digest.ts'
import type { Store } from '../store/store.ts'

const decompress = promisify(zstdDecompress)

/** One path, as a bundle or a node has it. */
interface Standing {
  /** As boot/native/drift.c has it: `f`ile, `d`irectory, `l`ink, `c`haracter or `b`lock device, `p`ipe, `s`ocket. */
  readonly type: string
  /** The low 12 bits. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  /** SHA-256 of a file, target of a link; '-' for anything else. */
  readonly holds: string
}

/** How one path of a node's root differs from its bundle. */
export interface Drifted {
  readonly path: string
  readonly kind: 'added' | 'changed' | 'removed'
  /** In words: what of it differs, or what was added. */
  readonly what: string
  /** The application may write there: the blueprint or the unit says so, or everybody may. */
  readonly writable: boolean
}

const unescaped = (text: string): string =>
  Buffer.from(
    text.replace(/%([0-9A-F]{2})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16))),
    'latin1',
  ).toString('utf8')

/** What a node tells of its root; lines that do not fit are dropped. */
export function parseInventory(text: string): Map<string, Standing> {
  const found = new Map<string, Standing>()
  for (const line of text.split('\n')) {
    const [, type, mode, uid, gid, size, holds, path] =
      /^([fdlcbps])\t([0-7]{1,4})\t(\d{1,10})\t(\d{1,10})\t(\d{1,15})\t(\S+)\t(\/\S+)$/.exec(line) ?? []
    if (!type) continue
    const numbers = { mode: Number.parseInt(mode!, 8), uid: Number(uid), gid: Number(gid), size: Number(size) }
    found.set(unescaped(path!), { type, ...numbers, holds: unescaped(holds!) })
  }
  return found
}

/** What a bundle unpacks to, path by path; later segments stand over earlier ones. BLOB_CORRUPT, ARCHIVE_BROKEN. */
async function standingOf(manifest: BundleManifest, store: Store): Promise<Map<string, Standing>> {
  const found = new Map<string, Standing>()
  for (const { descriptor } of initramfsParts(manifest).parts) {
    const contents = new Map<number, Buffer>()
    const records = readCpio(await decompress(await store.readVerified(descriptor.digest)))
    // Of several names of one file, the last one has the content.
    for (const { inode, content } of records) if (content.length > 0) contents.set(inode, content)
    for (const record of records) {
      found.set(`/${record.path}`, standing(record, contents.get(record.inode) ?? record.content))
      // Hashing a large bundle shall not hold up what else this process does.
      if (record.content.length > 1 << 20) await new Promise(setImmediate)
    }
  }
  return found
}

const types: ReadonlyMap<number, string> = new Map([
  [0o100000, 'f'],
  [0o040000, 'd'],
  [0o120000, 'l'],
  [0o020000, 'c'],
  [0o060000, 'b'],
  [0o010000, 'p'],
])

function standing({ mode, uid, gid }: CpioRecord, content: Buffer): Standing {
  const type = types.get(mode & 0o170000) ?? '?'
  const of = { type, mode: mode & 0o7777, uid, gid, size: type === 'f' ? content.length : 0 }
  if (type === 'f') return { ...of, holds: createHash('sha256').update(content).digest('hex') }
  return { ...of, holds: type === 'l' ? content.toString('utf8') : '-' }
}

/** Made, taken away or written by the kernel (/root) and init while a node boots, and what only runs: no drift. */
const ours = [
  /^\/root$/,
  /^\/(dev|proc|sys|run)(\/|$)/,
  /^\/\.bootloom\/(run|layers|drivers|node|misses|end)(\/|$)/,
  /^\/etc\/(resolv\.conf|hosts)$/,
]

/** How what a node has differs from its bundle: sorted by path. */
export async function driftOf(
  store: Store,
  { manifest, config }: { readonly manifest: BundleManifest; readonly config: BundleConfig },
  node: ReadonlyMap<string, Standing>,
): Promise<Drifted[]> {
  const [bundle, writable] = await Promise.all([standingOf(manifest, store), writablePlaces(store, config)])
  const open = [...bundle].flatMap(([path, { type, mode }]) =>
    type === 'd' && (mode & 0o1002) === 0o1002 ? [path] : [],
  )
  const places = [...writable, ...open]
  const paths = [...new Set([...bundle.keys(), ...node.keys()])].sort()
  return paths.flatMap((path): Drifted[] => {
    const difference = compared(bundle.get(path), node.get(path))
    if (!difference || ours.some((pattern) => pattern.test(path))) return []
    return [{ path, ...difference, writable: places.some((place) => path === place || path.startsWith(`${place}/`)) }]
  })
}

/** Directories that the application's services have made for them, or the blueprint declares. */
async function writablePlaces(store: Store, { inputs }: BundleConfig): Promise<string[]> {
  const blueprint = await store.readJson<Blueprint>(inputs.blueprint)
  const stack = await store.readJson<Stack>(inputs.stack)
  const components = await Promise.all(stack.components.map((ref) => loadComponent(ref, store)))
  const services = await servicesOf(blueprint, components, store)
  return services.flatMap(({ directories }) => directories.map(({ path }) => path.replace(/\/+$/, '')))
}

const names: Readonly<Record<string, string>> = { f: 'file', d: 'directory', l: 'link', p: 'pipe', s: 'socket' }

function compared(was: Standing | undefined, is: Standing | undefined): Pick<Drifted, 'kind' | 'what'> | undefined {
  const name = (one: Standing) => names[one.type] ?? 'device'
  if (!was && !is) return undefined
  if (!was) return { kind: 'added', what: `${name(is!)}${is!.type === 'f' ? ` of ${is!.size} bytes` : ''}` }
  if (!is) return { kind: 'removed', what: name(was) }
  if (was.type !== is.type) return { kind: 'changed', what: `a ${name(is)} in place of a ${name(was)}` }
  const octal = (mode: number) => mode.toString(8).padStart(4, '0')
  const words = [
    ...(was.holds === is.holds ? [] : [is.type === 'l' ? `leads to ${is.holds}` : `other content, ${is.size} bytes`]),
    // A link's own mode says nothing.
    ...(was.mode === is.mode || is.type === 'l' ? [] : [`mode ${octal(was.mode)} → ${octal(is.mode)}`]),
    ...(was.uid === is.uid && was.gid === is.gid ? [] : [`owner ${was.uid}:${was.gid} → ${is.uid}:${is.gid}`]),
  ]
  return words.length === 0 ? undefined : { kind: 'changed', what: words.join(', ') }
}

/** The bundle that a node runs, by its digest. */
export async function bundleForDrift(store: Store, bundle: Digest) {
  const manifest = await store.readJson<BundleManifest>(bundle)
  const config = await store.readJson<BundleConfig | { readonly level: 'foreign' }>(manifest.config.digest)
  return config.level === 'foreign' ? undefined : { manifest, config }
}
