import { constants } from 'node:fs'
import { type FileHandle, lstat, open, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { BootloomError } from '../config/errors.ts'
import type { Batch } from '../store/batch.ts'
import { canonicalJson, type Digest, digestOf, shortDigest } from '../store/digest.ts'
import type { Store } from '../store/store.ts'
import { type Component, type Entry, longestPath } from './component.ts'
import { byPath } from './deb/archive.ts'
import { eachOf } from './each.ts'
import type { TreeRequest } from './request.ts'

/**
 * A directory as a component: what stands in it now. Files of a state that was read before are not read again. The same
 * contents at the same place on the node give the same component, wherever the directory is and however old its files.
 */
export async function treeComponent(request: TreeRequest, store: Store, signal?: AbortSignal): Promise<Component> {
  const [uid = 0, gid = 0] = request.owner.split(':').map(Number)
  const entries: Entry[] = []
  const found = await walk(request.path)
  const long = found.find((relative) => Buffer.byteLength(`${request.at}/${relative}`) > longestPath)
  if (long !== undefined) throw tooLong(join(request.path, long))
  const cache = known.get(store) ?? new Map<string, Known>()
  known.set(store, cache)
  // One sync for a whole new tree; a few changed files are quicker each on its own than a sync of the file system.
  const batch = found.length > cache.size + 32 ? await store.batch() : undefined
  const reader: Reader = { store, cache, to: batch ?? store }
  try {
    await eachOf(found, 8, async (relative) => {
      signal?.throwIfAborted()
      const entry = await entryAt(join(request.path, relative), reader)
      if (entry) entries.push({ path: `${request.at}${relative && `/${relative}`}`, ...entry, uid, gid })
    })
    await batch?.commit()
  } catch (error) {
    // It may name blobs of the batch that was never committed.
    if (batch) cache.clear()
    throw error
  } finally {
    await batch?.abandon()
  }
  entries.sort(byPath)
  const identity = digestOf(canonicalJson(entries))
  return {
    kind: 'tree',
    name: request.at,
    version: shortDigest(identity),
    architecture: 'all',
    mtime: mtimeOf(identity),
    entries,
  }
}

/**
 * A time that follows from the contents. Servers make validators from size and time (Apache's ETag), so a constant would
 * let a browser keep a page that changed without changing its length; the files' own times would make two checkouts of
 * one site two components. Between 2001 and 2017: never in the future of a node whose clock is about right.
 */
function mtimeOf(identity: Digest): number {
  return 1_000_000_000 + (Number.parseInt(identity.slice(7, 15), 16) % 500_000_000)
}

/** Paths below the directory, relative, the directory itself as ''. */
async function walk(directory: string): Promise<string[]> {
  const paths = ['']
  const visit = async (relative: string): Promise<void> => {
    for (const item of await readdir(join(directory, relative), { withFileTypes: true })) {
      const path = relative === '' ? item.name : `${relative}/${item.name}`
      if (item.name.includes('\ufffd')) throw unreadable(join(directory, path), 'its name is no UTF-8')
      paths.push(path)
      if (item.isDirectory()) await visit(path)
    }
  }
  try {
    await visit('')
  } catch (error) {
    if (error instanceof BootloomError) throw error
    const code = (error as NodeJS.ErrnoException).code
    const where = (error as NodeJS.ErrnoException).path ?? directory
    if (code === 'ENOENT' && where !== directory && where !== `${directory}/`) return walk(directory)
    if (code === 'ENOENT') throw unreadable(where, 'it does not exist')
    if (code === 'ENAMETOOLONG') throw tooLong(where)
    if (code === 'ENOTDIR') throw unreadable(where, 'it is no directory')
    if (code === 'EACCES') throw unreadable(where, 'reading it is not permitted')
    throw error
  }
  return paths
}

function unreadable(where: string, why: string): BootloomError {
  return new BootloomError('TREE_UNREADABLE', `${where} cannot be taken: ${why}`, { where })
}

const tooLong = (where: string): BootloomError =>
  unreadable(`${where.slice(0, 200)}…`, `its path is longer than ${longestPath} bytes`)

type Found = Omit<Entry, 'path' | 'uid' | 'gid'>

/** Undefined when it went away since the directory was listed: the next settled state will show it gone. */
async function entryAt(path: string, reader: Reader, turned = 0): Promise<Found | undefined> {
  if (turned > attempts) throw unstable(path)
  try {
    const stat = await lstat(path)
    const mode = stat.mode & 0o7777
    if (stat.isDirectory()) return { type: 'dir', mode, size: 0 }
    if (stat.isSymbolicLink()) return { type: 'symlink', mode: 0o777, size: 0, target: await readlink(path) }
    if (stat.isFile()) return (await fileAt(path, reader)) ?? (await entryAt(path, reader, turned + 1))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    // It was a link a moment ago.
    if (code === 'EINVAL') return entryAt(path, reader, turned + 1)
    if (code === 'ENAMETOOLONG') throw tooLong(path)
    if (code === 'EACCES') throw unreadable(path, 'reading it is not permitted')
    throw error
  }
  throw unreadable(path, 'it is neither a file, a directory nor a symlink')
}

interface Known {
  readonly identity: string
  readonly digest: Digest
}

interface Reader {
  readonly store: Store
  readonly cache: Map<string, Known>
  /** Where contents go. */
  readonly to: Store | Batch
}

/** What each file held when it was last read, for each store. */
const known = new WeakMap<Store, Map<string, Known>>()
const attempts = 5
const large = 64 * 1024 * 1024

/** Undefined when it is no file any more. */
async function fileAt(path: string, { store, cache, to }: Reader): Promise<Found | undefined> {
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const before = await lstat(path, { bigint: true })
    const found = { type: 'file' as const, mode: Number(before.mode) & 0o7777, size: Number(before.size) }
    const identity = identityOf(before)
    const seen = cache.get(path)
    if (seen?.identity === identity) return { ...found, digest: seen.digest }
    const read = await readInto(path, store, to)
    if (read === undefined) return undefined
    const { digest, size } = read
    const after = await lstat(path, { bigint: true })
    if (identityOf(after) === identity && size === found.size) {
      // The kernel's clock is coarse: a write just after this read could leave the same times.
      if (Date.now() - Number(after.ctimeMs) > 50) cache.set(path, { identity, digest })
      return { ...found, digest }
    }
    await sleep(20 * attempt)
  }
  throw unstable(path)
}

const unstable = (path: string): BootloomError =>
  new BootloomError('TREE_UNSTABLE', `${path} kept changing while it was read`, { where: path })

const identityOf = (stat: { ino: bigint; size: bigint; mtimeNs: bigint; ctimeNs: bigint }): string =>
  `${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`

/** Undefined when something else stands there by now: a link is not followed, and nobody is waited for at a pipe. */
async function readInto(
  path: string,
  store: Store,
  to: Store | Batch,
): Promise<{ digest: Digest; size: number } | undefined> {
  let file: FileHandle
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    if (['ELOOP', 'ENXIO'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw error
  }
  try {
    const stat = await file.stat()
    if (!stat.isFile()) return undefined
    if (stat.size > large) return await store.writeStream(file.createReadStream({ autoClose: false }))
    const bytes = await file.readFile()
    return { digest: await to.write(bytes), size: bytes.length }
  } finally {
    await file.close()
  }
}
