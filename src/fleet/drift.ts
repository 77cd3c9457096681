import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { zstdDecompress } from 'node:zlib'
import { isForeign, parseAnyBlueprint } from '../blueprint/parse.ts'
import type { Selection } from '../blueprint/selection.ts'
import { servicesOf } from '../blueprint/services.ts'
import type { BundleConfig, BundleManifest } from '../compose/bundle-format.ts'
import { type CpioRecord, readCpio } from '../compose/cpio-reader.ts'
import { initramfsParts } from '../compose/initramfs.ts'
import { parentsOf, type SegmentPlan } from '../compose/plan.ts'
import { loadComponent } from '../repository/recorded.ts'
import type { Stack } from '../repository/stack.ts'
import { type Digest, hexOf } from '../store/digest.ts'
import type { Store } from '../store/store.ts'

const decompress = promisify(zstdDecompress)

/** One path, as a bundle or a node has it. */
interface Standing {
  /**
   * As boot/native/drift.c has it: `f`ile, `d`irectory, `l`ink, `c`haracter or `b`lock device, `p`ipe, `s`ocket; `w`hat
   * an image has there is gone.
   */
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

/** What a node tells of its root. */
export interface Inventory {
  readonly found: ReadonlyMap<string, Standing>
  /** Where nothing of the image below is seen any more, nor of what it has further down. */
  readonly gone: ReadonlySet<string>
}

/** Lines that do not fit are dropped. */
export function parseInventory(text: string): Inventory {
  const found = new Map<string, Standing>()
  const gone = new Set<string>()
  for (const line of text.split('\n')) {
    const [, type, mode, uid, gid, size, holds, path] =
      /^([fdlcbpsw])\t([0-7]{1,4})\t(\d{1,10})\t(\d{1,10})\t(\d{1,15})\t(\S+)\t(\/\S+)$/.exec(line) ?? []
    if (!type) continue
    const numbers = { mode: Number.parseInt(mode!, 8), uid: Number(uid), gid: Number(gid), size: Number(size) }
    const place = unescaped(path!)
    // A directory may be told to be gone, and then what took its place.
    if (type === 'w') gone.add(place)
    else found.set(place, { type, ...numbers, holds: unescaped(holds!) })
  }
  return { found, gone }
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
  /^\/\.bootloom\/(run|kept|layers|drivers|node|misses|pages|end)(\/|$)/,
  /^\/etc\/(resolv\.conf|hosts)$/,
]

/** What an image shows on a node as it was woven, where nothing stands over it. */
async function standingInImage(plans: Digest, store: Store): Promise<Map<string, Standing>> {
  const entries = (await store.readJson<readonly SegmentPlan[]>(plans)).flatMap((plan) => plan.entries)
  const files = new Map(entries.map((entry) => [entry.path, entry]))
  return new Map(
    [...files.values()].map((entry) => {
      const { type, mode, uid, gid, size, digest, target } =
        (entry.type === 'hardlink' && files.get(entry.target!)) || entry
      const holds = type === 'file' && digest ? hexOf(digest) : type === 'symlink' ? target! : '-'
      return [entry.path, { type: letters[type], mode, uid, gid, size, holds }]
    }),
  )
}

const letters = { file: 'f', hardlink: 'f', dir: 'd', symlink: 'l', char: 'c', block: 'b', fifo: 'p' } as const

/** How what a node has differs from its bundle: sorted by path. */
export async function driftOf(
  store: Store,
  { manifest, config }: { readonly manifest: BundleManifest; readonly config: BundleConfig },
  { found, gone }: Inventory,
): Promise<Drifted[]> {
  const [unpacked, image, writable, paged] = await Promise.all([
    standingOf(manifest, store),
    config.root ? standingInImage(config.root.contents, store) : new Map<string, Standing>(),
    writablePlaces(store, config),
    pagedFiles(store, config),
  ])
  const bundle = new Map([...image, ...unpacked])
  const isGone = (path: string) => [path, ...parentsOf(path)].some((place) => gone.has(place))
  const node = new Map([...[...image].filter(([path]) => !isGone(path)), ...found])
  const open = [...bundle].flatMap(([path, { type, mode }]) =>
    type === 'd' && (mode & 0o1002) === 0o1002 ? [path] : [],
  )
  const places = [...writable, ...open]
  const paths = [...new Set([...bundle.keys(), ...node.keys()])].sort()
  return paths.flatMap((path): Drifted[] => {
    const difference = compared(bundle.get(path), node.get(path))
    if (!difference || paged.has(path) || ours.some((pattern) => pattern.test(path))) return []
    return [{ path, ...difference, writable: places.some((place) => path === place || path.startsWith(`${place}/`)) }]
  })
}

/** Files that a node has by page: what stands in their places is what they are mounted on. */
async function pagedFiles(store: Store, { inputs }: BundleConfig): Promise<ReadonlySet<string>> {
  const { parts } = await store.readJson<Selection>(inputs.selection)
  return new Set(parts.flatMap(({ files }) => files.flatMap(({ path, pages }) => (pages === undefined ? [] : [path]))))
}

/** Directories that the application's services have made for them, or the blueprint declares. */
async function writablePlaces(store: Store, { inputs }: BundleConfig): Promise<string[]> {
  const blueprint = parseAnyBlueprint((await store.read(inputs.blueprint)).toString('utf8'), 'blueprint.yaml')
  if (isForeign(blueprint)) return []
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
