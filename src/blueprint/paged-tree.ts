import type { Entry } from '../repository/component.ts'
import { hexOf } from '../store/digest.ts'
import { lineWord } from './line-word.ts'
import type { Pages } from './pages.ts'

/** A file of which only some pages are here. */
export interface PagedFile {
  readonly entry: Entry
  readonly pages: Pages
  /** Seconds since 1970. */
  readonly mtime: number
}

/**
 * Files of pages as boot/native reads them, two lines each: `c MTIME - -` and `p MODE UID GID SIZE HEX PAGES PATH`, mode
 * in octal, with the SHA-256 of the whole content.
 */
export const pagedTree = (files: readonly PagedFile[]): string =>
  files
    .map(({ entry: { mode, uid, gid, size, digest, path }, pages, mtime }) => {
      const about = `${mode.toString(8)} ${uid} ${gid} ${size} ${hexOf(digest!)}`
      return `c ${mtime} - -\np ${about} ${pages} ${lineWord(path)}\n`
    })
    .join('')
