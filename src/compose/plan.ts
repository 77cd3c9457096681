import { posix } from 'node:path'
import type { SelectedPart, Selection } from '../blueprint/selection.ts'
import { BootloomError } from '../config/errors.ts'
import type { Component, Entry } from '../repository/component.ts'
import type { Store } from '../store/store.ts'

/** What one segment is woven from: all that its bytes follow from, but for the compression level. */
export interface SegmentPlan {
  readonly name: string
  readonly version: string
  /** As in SegmentSummary. */
  readonly kind: string
  readonly mtime: number
  /** Every path once; each parent directory is here too, so no segment relies on another one's directories. */
  readonly entries: readonly Entry[]
  /**
   * Where all of this is woven into one squashfs image (compose/image.ts): the plans that it is made of. `entries` are
   * then theirs together, and what the node unpacks is the image alone.
   */
  readonly image?: readonly SegmentPlan[]
}

/**
 * The plans of a selection's components, in the order in which they stand in the stack. Where components have the same
 * path, the later one's is kept and the earlier one's left out: so the order in which segments are unpacked does not
 * matter, and they can be ordered by size.
 */
export async function planParts(selection: Selection, store: Store): Promise<SegmentPlan[]> {
  const winners = new Map<string, { readonly part: number; readonly entry: Entry }>()
  for (const [part, { files }] of selection.parts.entries()) {
    for (const entry of files) winners.set(entry.path, { part, entry })
  }
  for (const { entry } of winners.values()) refuseBelowLink(entry, winners)
  const plans: SegmentPlan[] = []
  for (const [index, part] of selection.parts.entries()) {
    const entries = new Map<string, Entry>()
    for (const file of part.files) {
      const winner = winners.get(file.path)!
      if (winner.part === index) entries.set(file.path, withoutReason(file))
    }
    for (const path of [...entries.keys()]) {
      for (const parent of parentsOf(path)) {
        if (!entries.has(parent))
          entries.set(parent, withoutReason(winners.get(parent)?.entry ?? plainDirectory(parent)))
      }
    }
    await settleHardlinks(entries, part, store)
    if (entries.size > 0) plans.push({ ...part.component, mtime: part.mtime, entries: [...entries.values()] })
  }
  return plans
}

export const plainDirectory = (path: string, mode = 0o755): Entry => ({
  path,
  type: 'dir',
  mode,
  uid: 0,
  gid: 0,
  size: 0,
})

/** Parent directories without the root, outermost first. */
export function parentsOf(path: string): string[] {
  const parents: string[] = []
  for (let parent = posix.dirname(path); parent !== '/'; parent = posix.dirname(parent)) parents.unshift(parent)
  return parents
}

/**
 * Unpacking writes through a symlink that stands already, and drops a symlink whose place a directory took: which of
 * the two happens would depend on the order. So a path below what is no directory is refused.
 */
function refuseBelowLink(entry: Entry, winners: ReadonlyMap<string, { readonly entry: Entry }>): void {
  for (const parent of parentsOf(entry.path)) {
    const found = winners.get(parent)?.entry
    if (found === undefined || found.type === 'dir') continue
    throw new BootloomError('SELECTION_CONFLICT', `${entry.path} is selected, and ${parent} is a ${found.type}`, {
      where: entry.path,
    })
  }
}

/** A hardlink whose file is not in the same segment becomes a file of its own, or a hardlink to its first sibling. */
async function settleHardlinks(entries: Map<string, Entry>, part: SelectedPart, store: Store): Promise<void> {
  let component: Component | undefined
  const moved = new Map<string, string>()
  for (const entry of [...entries.values()]) {
    if (entry.type !== 'hardlink' || entries.get(entry.target ?? '')?.type === 'file') continue
    const sibling = moved.get(entry.target ?? '')
    if (sibling !== undefined) {
      entries.set(entry.path, { ...entry, target: sibling })
      continue
    }
    component ??= await store.readJson<Component>(part.component.digest)
    const target = component.entries.find(({ path }) => path === entry.target)
    if (target?.type !== 'file') {
      throw new BootloomError('ARCHIVE_UNFIT', `${entry.path} shares ${entry.target}, which is no file`, {
        where: entry.path,
      })
    }
    entries.set(entry.path, { ...withoutReason(target), path: entry.path })
    moved.set(target.path, entry.path)
  }
}

/** What a path is, without why it is there: the reason must not change a segment. */
function withoutReason(file: Entry): Entry {
  const { path, type, mode, uid, gid, size, digest, target, device } = file
  return {
    path,
    type,
    mode,
    uid,
    gid,
    size,
    ...(digest === undefined ? {} : { digest }),
    ...(target === undefined ? {} : { target }),
    ...(device === undefined ? {} : { device }),
  }
}
