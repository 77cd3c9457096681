import { BootloomError } from '../config/errors.ts'

export interface CpioRecord {
  /** As in the archive, without the leading slash. */
  readonly path: string
  readonly inode: number
  /** With the file type's bits. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly links: number
  readonly mtime: number
  readonly device: readonly [number, number]
  /** A view on the archive, not a copy. */
  readonly content: Buffer
}

const headerLength = 110
const longestPath = 4096

/** The members of one newc archive up to its trailer. ARCHIVE_BROKEN when a length leads out of the archive. */
export function readCpio(archive: Buffer): CpioRecord[] {
  const records: CpioRecord[] = []
  for (let offset = 0; ; ) {
    if (offset + headerLength > archive.length) throw broken(offset, 'ends within a header')
    const text = archive.toString('latin1', offset, offset + headerLength)
    if (!/^070701[0-9A-Fa-f]{104}$/.test(text)) throw broken(offset, 'has no newc header')
    const field = (index: number) => Number.parseInt(text.slice(6 + index * 8, 14 + index * 8), 16)
    const nameLength = field(11)
    const contentLength = field(6)
    const nameStart = offset + headerLength
    const contentStart = align(nameStart + nameLength)
    if (nameLength < 2 || nameLength > longestPath || contentStart + contentLength > archive.length) {
      throw broken(offset, 'names a length beyond its end')
    }
    const path = archive.toString('utf8', nameStart, nameStart + nameLength - 1)
    if (path === 'TRAILER!!!') return records
    records.push({
      path,
      inode: field(0),
      mode: field(1),
      uid: field(2),
      gid: field(3),
      links: field(4),
      mtime: field(5),
      device: [field(9), field(10)],
      content: archive.subarray(contentStart, contentStart + contentLength),
    })
    offset = align(contentStart + contentLength)
  }
}

const align = (length: number): number => Math.ceil(length / 4) * 4

const broken = (offset: number, what: string): BootloomError =>
  new BootloomError('ARCHIVE_BROKEN', `the archive ${what}`, { where: `byte ${offset}` })
