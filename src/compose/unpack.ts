import { chmod, lchown, link, lstat, lutimes, mkdir, open, rm, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { zstdDecompress } from 'node:zlib'
import { resolveWithin } from '../blueprint/observe/within.ts'
import { BootloomError } from '../config/errors.ts'
import type { Store } from '../store/store.ts'
import type { BundleManifest } from './bundle-format.ts'
import { type CpioRecord, readCpio } from './cpio-reader.ts'
import { initramfsParts } from './initramfs.ts'

const decompress = promisify(zstdDecompress)

/** What init mounts over: nothing of a bundle is seen there. */
const covered = /^(dev|proc|sys)(\/|$)/
const typeBits = 0o170000

/**
 * Unpacks a bundle's segments below a directory, each verified, in their order, as the kernel does (init/initramfs.c):
 * later members take the place of earlier ones. Devices are left out. BLOB_CORRUPT, ARCHIVE_BROKEN.
 */
export async function unpackBundle(manifest: BundleManifest, store: Store, root: string): Promise<void> {
  for (const { descriptor } of initramfsParts(manifest).parts) {
    const archive = await decompress(await store.readVerified(descriptor.digest))
    const shared = new Map<number, string>()
    for (const record of readCpio(archive)) if (!covered.test(record.path)) await place(record, root, shared)
  }
}

async function place(record: CpioRecord, root: string, shared: Map<number, string>): Promise<void> {
  const { mode, uid, gid, mtime, content, inode, links } = record
  const type = mode & typeBits
  const path = join(root, await resolveWithin(root, record.path))
  const found = await lstat(path).catch(() => undefined)
  if (type === 0o040000) {
    if (found && !found.isDirectory()) await rm(path)
    await mkdir(path, { recursive: true })
  } else if (type === 0o120000) {
    if (found) await rm(path, { recursive: true })
    await symlink(content.toString('utf8'), path)
  } else if (type === 0o100000) {
    const first = links > 1 ? shared.get(inode) : undefined
    if (found && !(first === path)) await rm(path, { recursive: true })
    if (first !== undefined) await link(first, path)
    if (links > 1) shared.set(inode, first ?? path)
    await write(path, content)
  } else return
  await lchown(path, uid, gid)
  if (type !== 0o120000) await chmod(path, mode & 0o7777)
  if (type !== 0o040000) await lutimes(path, mtime, mtime)
}

async function write(path: string, content: Buffer): Promise<void> {
  try {
    const file = await open(path, 'a')
    try {
      if (content.length > 0) await file.writeFile(content)
    } finally {
      await file.close()
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw new BootloomError('ARCHIVE_UNFIT', `${dirname(path)} is not there before what is in it`, { where: path })
  }
}
