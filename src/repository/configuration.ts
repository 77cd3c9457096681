import { closeSync, constants, lstatSync, openSync, readFileSync } from 'node:fs'
import { readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Batch } from '../store/batch.ts'
import { canonicalJson, digestOf, shortDigest } from '../store/digest.ts'
import type { Component, Entry } from './component.ts'
import { byPath } from './deb/archive.ts'
import { eachOf } from './each.ts'

/**
 * Whatever stands in an installed root and is of no package as it was shipped: links of update-alternatives, accounts,
 * the loader's cache, what maintainer scripts wrote or changed. Together with the packages it makes up the root.
 *
 * `packages` in the order in which they cover each other: where a diverted or a shared path is another than the last of
 * them says, the configuration says what it really is.
 */
export async function configurationOf(
  root: string,
  packages: readonly Component[],
  mtime: number,
  batch: Batch,
  signal?: AbortSignal,
): Promise<Component> {
  const shipped = new Map<string, Entry>()
  for (const component of packages) {
    const own = new Map(component.entries.map((entry) => [entry.path, entry]))
    for (const entry of component.entries) shipped.set(entry.path, asFile(entry, own))
  }
  const entries: Entry[] = []
  const paths = await walk(root)
  await eachOf(paths, 16, async (path) => {
    signal?.throwIfAborted()
    const entry = await entryAt(root, path, shipped.get(path), batch)
    if (entry) entries.push(entry)
  })
  entries.sort(byPath)
  const version = shortDigest(digestOf(canonicalJson(entries)))
  return { kind: 'configuration', name: 'configuration', version, architecture: 'all', mtime, entries }
}

/** A hard link as the file that it is: the root knows no difference between a file's names. */
function asFile(entry: Entry, own: ReadonlyMap<string, Entry>): Entry {
  if (entry.type !== 'hardlink') return entry
  const file = own.get(entry.target!)
  return file ? { ...file, path: entry.path } : entry
}

/** The entry of a path in the root, or undefined where it is as a package ships it. */
async function entryAt(
  root: string,
  path: string,
  shipped: Entry | undefined,
  batch: Batch,
): Promise<Entry | undefined> {
  const absolute = join(root, path)
  // Ten thousand files that are in memory: by promises, it takes three times as long.
  const stat = lstatSync(absolute)
  const common = { path, mode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid, size: 0 }
  const same = (entry: Entry): Entry | undefined =>
    shipped &&
    shipped.type === entry.type &&
    shipped.uid === entry.uid &&
    shipped.gid === entry.gid &&
    (entry.type === 'symlink' || shipped.mode === entry.mode) &&
    shipped.digest === entry.digest &&
    shipped.target === entry.target &&
    shipped.device?.join() === entry.device?.join()
      ? undefined
      : entry
  if (stat.isDirectory()) return same({ ...common, type: 'dir' })
  if (stat.isSymbolicLink()) return same({ ...common, type: 'symlink', target: await readlink(absolute) })
  if (stat.isFIFO()) return same({ ...common, type: 'fifo' })
  if (stat.isCharacterDevice()) return same({ ...common, type: 'char', device: deviceOf(stat.rdev) })
  if (stat.isBlockDevice()) return same({ ...common, type: 'block', device: deviceOf(stat.rdev) })
  // A socket is nothing without the process that listens on it, and that process makes it.
  if (!stat.isFile()) return undefined
  const bytes = readRegular(absolute)
  const entry: Entry = { ...common, type: 'file', size: bytes.length, digest: digestOf(bytes) }
  if (same(entry) === undefined) return undefined
  await batch.write(bytes)
  return entry
}

/** As makedev(3) packs major and minor into one number. */
const deviceOf = (rdev: number): [number, number] => {
  const bits = BigInt(rdev)
  const major = ((bits >> 8n) & 0xfffn) | ((bits >> 32n) & ~0xfffn)
  const minor = (bits & 0xffn) | ((bits >> 12n) & ~0xffn & 0xffffffffn)
  return [Number(major), Number(minor)]
}

function readRegular(path: string): Buffer {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    return readFileSync(file)
  } finally {
    closeSync(file)
  }
}

/** Every path below the root that is part of the installation. */
async function walk(root: string): Promise<string[]> {
  const paths: string[] = []
  const visit = async (directory: string): Promise<void> => {
    for (const item of await readdir(join(root, directory), { withFileTypes: true })) {
      const path = `${directory}/${item.name}`
      if (isPassing(path)) continue
      paths.push(path)
      if (item.isDirectory() && !emptied.has(path)) await visit(path)
    }
  }
  await visit('')
  return paths
}

/** Directories that are filled anew on every machine, at every start. */
const emptied = new Set(['/proc', '/sys', '/dev', '/run', '/tmp', '/var/tmp', '/var/cache/apt', '/var/lib/apt/lists'])

/** What is of the machine that installed, of the act of installing, or different each time. */
const passing: readonly RegExp[] = [
  /^\/etc\/(hostname|resolv\.conf|machine-id|mtab)$/,
  /^\/var\/lib\/dbus\/machine-id$/,
  // Left by mmdebstrap: it names the passing repository and its options.
  /^\/etc\/apt\/(sources\.list|sources\.list\.d\/.*|apt\.conf\.d\/99mmdebstrap)$/,
  /^\/etc\/dpkg\/dpkg\.cfg\.d\/99mmdebstrap$/,
  // Dates, inode numbers and seeds.
  /^\/var\/log\/(apt\/.*|dpkg\.log|alternatives\.log|bootstrap\.log|fontconfig\.log)$/,
  /^\/var\/cache\/ldconfig\/aux-cache$/,
  /^\/var\/lib\/systemd\/random-seed$/,
  /^\/var\/cache\/debconf\/.*-old$/,
  /^\/var\/lib\/dpkg\/(lock|lock-frontend|triggers\/Lock|.*-old)$/,
]

const isPassing = (path: string): boolean => passing.some((pattern) => pattern.test(path))
