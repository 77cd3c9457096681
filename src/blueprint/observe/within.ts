import { lstat, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { BootloomError } from '../../config/errors.ts'

/**
 * Follows a path inside a root directory as a process that is chrooted there would, and returns it without symlinks,
 * still relative to the root. The last part may be a symlink, and parts may be missing. Links cannot lead outside.
 */
export async function resolveWithin(root: string, path: string, followLast = false): Promise<string> {
  const left = path.split('/')
  const done: string[] = []
  for (let steps = 0; left.length > 0; steps++) {
    if (steps > 4096) {
      throw new BootloomError('SELECTION_CONFLICT', `${path} leads round in a circle of symlinks`, { where: path })
    }
    const part = left.shift()!
    if (part === '' || part === '.') continue
    if (part === '..') {
      done.pop()
      continue
    }
    const here = join(root, ...done, part)
    const found = await lstat(here).catch(() => undefined)
    if (!found?.isSymbolicLink() || (left.every((rest) => rest === '') && !followLast)) {
      done.push(part)
      continue
    }
    const target = await readlink(here)
    if (target.startsWith('/')) done.length = 0
    left.unshift(...target.split('/'))
  }
  return `/${done.join('/')}`
}
