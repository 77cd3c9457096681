import { chmod, lchown, link, lstat, lutimes, mkdir, open, rm, symlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { zstdDecompress } from 'node:zlib'
import { resolveWithin } from '../blueprint/observe/within.ts'
import { BootloomError } from '../config/errors.ts'
import type { Store } from '../store/store.ts'
import type { BundleManifest } from './bundle-format.ts'
import { type CpioRecord, readCpio } from './cpio-reader.ts'
import { imagePath, unpackImage } from './image.ts'
import { initramfsParts } from './initramfs.ts'

const decompress = promisify(zstdDecompress)

/** What init mounts over: nothing of a bundle is seen there. */
const mountPoints = ['dev', 'proc', 'sys']
const covered = new RegExp(`^(${mountPoints.join('|')})(/|$)`)
const typeBits = 0o170000

/**
 * Unpacks a bundle's segments below a directory, each verified, in their order, as the kernel does (init/initramfs.c):
 * later members take the place of earlier ones; and the packages' image, where there is one. Devices are left out. BLOB_CORRUPT, ARCHIVE_BROKEN, ARCHIVE_UNFIT.
 */
export async function unpackBundle(manifest: BundleManifest, store: Store, root: string): Promise<void> {
  const parents = new Map<string, string>()
  for (const { descriptor } of initramfsParts(manifest).parts) {
    const archive = await decompress(await store.readVerified(descriptor.digest))
    const shared = new Map<number, string>()
    for (const record of readCpio(archive)) {
      if (covered.test(record.path)) continue
      const parent = dirname(record.path)
      // Links cannot lead outside; a directory is looked up once.
      const real = parents.get(parent) ?? (await resolveWithin(root, parent, true))
      parents.set(parent, real)
      const path = join(root, real, basename(record.path))
      await place(record, path, shared)
      // On a node it is mounted below all that is unpacked; here what follows is put over it.
      if (`/${record.path}` === imagePath) await unpackImage(path, root, mountPoints)
    }
  }
}

async function place(record: CpioRecord, path: string, shared: Map<number, string>): Promise<void> {
  const { mode, uid, gid, mtime, content, inode, links } = record
  const type = mode & typeBits
  if (type === 0o100000) {
    const first = links > 1 ? shared.get(inode) : undefined
    if (links > 1) shared.set(inode, first ?? path)
    if (first !== undefined) await inPlace(path, () => link(first, path))
    // Of several names, the last one has the content.
    const file = await (first === undefined ? inPlace(path, () => open(path, 'wx')) : open(path, 'r+'))
    try {
      if (content.length > 0) await file.writeFile(content)
      await file.chown(uid, gid)
      await file.chmod(mode & 0o7777)
      await file.utimes(mtime, mtime)
    } finally {
      await file.close()
    }
  } else if (type === 0o120000) {
    await inPlace(path, () => symlink(content.toString('utf8'), path))
    await lchown(path, uid, gid)
    await lutimes(path, mtime, mtime)
  } else if (type === 0o040000) {
    const stands = await lstat(path).catch(() => undefined)
    if (!stands?.isDirectory()) await inPlace(path, () => mkdir(path))
    await lchown(path, uid, gid)
    await chmod(path, mode & 0o7777)
  }
}

/** What stands there already makes way. */
async function inPlace<T>(path: string, make: () => Promise<T>): Promise<T> {
  try {
    return await make()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT')
      throw new BootloomError('ARCHIVE_UNFIT', `${path} comes before its directory`, { where: path })
    if (code !== 'EEXIST') throw error
    await rm(path, { recursive: true })
    return make()
  }
}
