import { chmod, copyFile, lchown, link, lstat, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { BootloomError } from '../../config/errors.ts'
import type { Component, Entry } from '../../repository/component.ts'
import type { Store } from '../../store/store.ts'
import type { Blueprint } from '../schema.ts'
import type { Service } from '../service.ts'
import { resolveWithin } from './within.ts'

/** Lays a tree's files over the copy of the stack. */
export async function placeTree(root: string, tree: Component, store: Store): Promise<void> {
  for (const entry of tree.entries) await placeEntry(root, entry, store)
}

async function placeEntry(root: string, entry: Entry, store: Store): Promise<void> {
  const path = await clear(root, entry.path, entry.type === 'dir')
  if (entry.type === 'dir') await mkdir(path, { recursive: true })
  else if (entry.type === 'symlink') await symlink(entry.target!, path)
  else if (entry.type === 'hardlink') return link(join(root, await resolveWithin(root, entry.target!)), path)
  else if (entry.type === 'file') await copyFile(store.path(entry.digest!), path)
  else return
  await lchown(path, entry.uid, entry.gid)
  if (entry.type !== 'symlink') await chmod(path, entry.mode)
}

/** Adds the blueprint's `files`. */
export async function placeFiles(root: string, blueprint: Blueprint): Promise<void> {
  for (const added of blueprint.files) {
    const path = await clear(root, added.path, false)
    await writeFile(path, await contentOf(added))
    const [uid, gid] = added.owner.split(':').map(Number) as [number, number]
    await lchown(path, uid, gid)
    await chmod(path, Number.parseInt(added.mode, 8))
  }
}

/** The bytes of a file that a blueprint adds. */
export async function contentOf(added: Blueprint['files'][number]): Promise<Buffer> {
  if (added.content !== undefined) return Buffer.from(added.content)
  try {
    return await readFile(added.from!)
  } catch (cause) {
    throw new BootloomError('BLUEPRINT_INVALID', `the file for ${added.path} cannot be read`, {
      where: added.from!,
      cause,
    })
  }
}

/** Makes the directories of a service, as the node does at start. */
export async function placeDirectories(root: string, { directories }: Service): Promise<void> {
  for (const { path, uid, gid, mode } of directories) {
    const directory = join(root, await resolveWithin(root, path, true))
    await mkdir(directory, { recursive: true })
    await lchown(directory, uid, gid)
    await chmod(directory, Number.parseInt(mode, 8))
  }
}

/** Where a path of the node stands in the copy, its parents made and what stood in its place removed. */
async function clear(root: string, path: string, forDirectory: boolean): Promise<string> {
  const place = join(root, await resolveWithin(root, path, forDirectory))
  await mkdir(dirname(place), { recursive: true })
  const found = await lstat(place).catch(() => undefined)
  if (found && !(forDirectory && found.isDirectory())) await rm(place, { recursive: true })
  return place
}
