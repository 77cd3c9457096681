import { pagedTree } from '../blueprint/paged-tree.ts'
import { bytesOfPages, unitePages } from '../blueprint/pages.ts'
import type { SelectedFile, Selection } from '../blueprint/selection.ts'
import type { Entry } from '../repository/component.ts'
import { type Digest, hexOf } from '../store/digest.ts'
import type { Store } from '../store/store.ts'
import { ownDirectory } from './base.ts'
import { readProgram } from './native.ts'
import { parentsOf, plainDirectory, type SegmentPlan } from './plan.ts'

/** Where a node has the pages of its files of pages, and the list of those files. */
export const pagesDirectory = `${ownDirectory}/pages`
export const pagesTree = `${pagesDirectory}/tree`

/** Kernel modules of a node that has such files. */
export const pagesModules: readonly string[] = ['fuse']

export const hasPages = ({ parts }: Selection): boolean =>
  parts.some(({ files }) => files.some(({ pages }) => pages !== undefined))

/** The files of a selection that are kept whole. */
export const withoutPages = (selection: Selection): Selection => ({
  ...selection,
  parts: selection.parts.map((part) => ({ ...part, files: part.files.filter(({ pages }) => pages === undefined) })),
})

/**
 * The pages that are kept of files of which not all is, their list, and the program that mounts them (boot/native/reach.c);
 * undefined where all files are whole. NATIVE_MISSING.
 */
export async function planPages(selection: Selection, store: Store): Promise<SegmentPlan | undefined> {
  const found = selection.parts.flatMap(({ mtime, files }) =>
    files.flatMap((file) => (file.pages === undefined ? [] : [{ file, pages: file.pages, mtime }])),
  )
  if (found.length === 0) return undefined
  // Of two files of one content there is one set of pages.
  const paged = found.map((one) => {
    const same = found.filter(({ file }) => file.digest === one.file.digest)
    return { ...one, pages: unitePages(...same.map(({ pages }) => pages)) }
  })
  const put = async (path: string, bytes: Uint8Array, mode: number): Promise<Entry> => {
    const digest: Digest = await store.write(bytes)
    return { path, type: 'file', mode, uid: 0, gid: 0, size: bytes.length, digest }
  }
  const tree = pagedTree(paged.map(({ file, pages, mtime }) => ({ entry: file, pages, mtime })))
  const contents = new Map<Digest, Entry>()
  for (const { file, pages } of paged) {
    const content = await store.readVerified(file.digest!)
    contents.set(file.digest!, await put(placeOf(file), bytesOfPages(content, pages), 0o600))
  }
  return {
    name: 'pages',
    version: '',
    kind: 'pages',
    mtime: 0,
    entries: [
      plainDirectory(ownDirectory),
      plainDirectory(pagesDirectory, 0o700),
      await put(`${pagesDirectory}/reach`, await readProgram('reach'), 0o700),
      await put(pagesTree, Buffer.from(tree), 0o600),
      ...contents.values(),
      ...parentsIn(
        selection,
        paged.map(({ file }) => file.path),
      ),
    ],
  }
}

/** The directories that the files are mounted in, as they are in the selection. */
function parentsIn({ parts }: Selection, paths: readonly string[]): Entry[] {
  const known = new Map(parts.flatMap(({ files }) => files.map((file) => [file.path, file] as const)))
  return [...new Set(paths.flatMap(parentsOf))].map((path) => {
    const { mode, uid, gid } = known.get(path) ?? plainDirectory(path)
    return { ...plainDirectory(path, mode), uid, gid }
  })
}

const placeOf = ({ digest }: SelectedFile): string => `${pagesDirectory}/${hexOf(digest!)}`
