import { BootloomError } from '../config/errors.ts'

/**
 * The newc archive that the kernel unpacks into its root (kernel document driver-api/early-userspace/buffer-format).
 * Paths are absolute here and written without the leading slash, as `find . | cpio` does.
 */
export interface CpioMember {
  readonly path: string
  readonly type: 'file' | 'dir' | 'symlink' | 'hardlink' | 'char' | 'block' | 'fifo'
  /** The low 12 bits. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Files only; none is an empty file. */
  readonly content?: Uint8Array
  /** Of a symlink, verbatim; of a hardlink, the path of the file of this archive that it shares. */
  readonly target?: string
  readonly device?: readonly [number, number]
}

const fileTypes = {
  file: 0o100000,
  hardlink: 0o100000,
  dir: 0o040000,
  symlink: 0o120000,
  char: 0o020000,
  block: 0o060000,
  fifo: 0o010000,
} as const

const headerLength = 110
const trailerName = 'TRAILER!!!'
/** The kernel skips a name or a symlink's target that does not fit PATH_MAX (init/initramfs.c), silently. */
const longestPath = 4095

/**
 * The archive's bytes in pieces, in order; their total is a multiple of 4. The same members give the same bytes: sorted
 * by path, inodes numbered from 1, one `mtime` (seconds since 1970) for all. Hardlinks share an inode, and the last of
 * them carries the content, as GNU cpio has it.
 */
export function writeCpio(members: readonly CpioMember[], mtime: number): Buffer[] {
  const sorted = [...members].sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)))
  const byPath = new Map(sorted.map((member) => [member.path, member]))
  const groups = new Map<string, { inode: number; links: number; left: number }>()
  for (const member of sorted) {
    const owner = contentOwner(member, byPath)
    if (owner === undefined) continue
    const group = groups.get(owner.path)
    if (group) group.left = ++group.links
    else groups.set(owner.path, { inode: groups.size + 1, links: 1, left: 1 })
  }
  let nextInode = groups.size
  const pieces: Buffer[] = []
  for (const member of sorted) {
    const owner = contentOwner(member, byPath)
    const group = owner && groups.get(owner.path)
    if (group) group.left--
    const content = owner ? (group!.left === 0 ? (owner.content ?? empty) : empty) : linkTarget(member)
    append(pieces, member.path, content, {
      inode: group?.inode ?? ++nextInode,
      mode: fileTypes[member.type] | (owner ?? member).mode,
      uid: (owner ?? member).uid,
      gid: (owner ?? member).gid,
      links: group?.links ?? (member.type === 'dir' ? 2 : 1),
      mtime,
      device: member.device ?? [0, 0],
    })
  }
  append(pieces, `/${trailerName}`, empty, { inode: 0, mode: 0, uid: 0, gid: 0, links: 1, mtime: 0, device: [0, 0] })
  return pieces
}

const empty = new Uint8Array(0)

/** The member whose content a path shows: itself for a file, what it shares for a hardlink. */
function contentOwner(member: CpioMember, byPath: ReadonlyMap<string, CpioMember>): CpioMember | undefined {
  if (member.type === 'file') return member
  if (member.type !== 'hardlink') return undefined
  const owner = byPath.get(member.target ?? '')
  if (owner?.type !== 'file') throw tooMuch(member.path, `shares ${member.target}, which is no file of this archive`)
  return owner
}

function linkTarget(member: CpioMember): Uint8Array {
  if (member.type !== 'symlink') return empty
  const target = Buffer.from(member.target ?? '')
  if (target.length === 0 || target.length > longestPath) {
    throw tooMuch(member.path, 'is a symlink to nothing or beyond PATH_MAX')
  }
  return target
}

interface Header {
  readonly inode: number
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly links: number
  readonly mtime: number
  readonly device: readonly [number, number]
}

function append(pieces: Buffer[], path: string, content: Uint8Array, header: Header): void {
  const name = Buffer.from(path.replace(/^\/+/, ''))
  if (name.length === 0 || name.length > longestPath || name.includes(0)) throw tooMuch(path, 'is no usable name')
  if (content.byteLength > 0xffffffff) throw tooMuch(path, 'is 4 GiB or more')
  const { inode, mode, uid, gid, links, mtime, device } = header
  const fields = [inode, mode, uid, gid, links, mtime, content.byteLength, 0, 0, ...device, name.length + 1, 0]
  const text = `070701${fields.map((field) => field.toString(16).toUpperCase().padStart(8, '0')).join('')}`
  const head = Buffer.alloc(align(headerLength + name.length + 1))
  head.write(text, 'latin1')
  name.copy(head, headerLength)
  pieces.push(head)
  if (content.byteLength === 0) return
  pieces.push(Buffer.from(content.buffer, content.byteOffset, content.byteLength))
  const padding = align(content.byteLength) - content.byteLength
  if (padding > 0) pieces.push(Buffer.alloc(padding))
}

const align = (length: number): number => (length + 3) & ~3

const tooMuch = (path: string, why: string): BootloomError =>
  new BootloomError('ARCHIVE_UNFIT', `${path} ${why}`, { where: path })
