import type { CpioMember } from './cpio.ts'

export interface TarMember extends Omit<CpioMember, 'content'> {
  /** Seconds since 1970. */
  readonly mtime: number
}

/**
 * A tar archive, as `mksquashfs -tar` reads one: POSIX ustar, with GNU's long names where a name has more than
 * 100 bytes (tar(5)). Members come in the order given, a hardlink after the file that it shares; content is asked for
 * when its turn has come, so that a large root is never in memory at once.
 */
export function* writeTar<M extends TarMember>(
  members: Iterable<M>,
  contentOf: (member: M) => Uint8Array,
): Generator<Uint8Array> {
  for (const member of members) {
    const name = nameBytes(member.path)
    const { type, target = '', mtime } = member
    const linked = type === 'hardlink' ? nameBytes(target) : Buffer.from(type === 'symlink' ? target : '')
    if (name.length > longestName) yield* longName('L', name)
    if (linked.length > longestName) yield* longName('K', linked)
    const content = type === 'file' ? contentOf(member) : empty
    yield header({ ...member, name, target: linked, size: content.byteLength, mtime, flag: flags[type] })
    yield content
    yield padding(content.byteLength)
  }
  yield Buffer.alloc(2 * block)
}

const nameBytes = (path: string): Buffer => Buffer.from(path.replace(/^\/+/, ''))

const block = 512
const longestName = 100
const empty = new Uint8Array(0)
const flags = { file: '0', hardlink: '1', symlink: '2', char: '3', block: '4', dir: '5', fifo: '6' } as const

/** The next member's name or target, as the content of a member of its own. */
function* longName(flag: 'L' | 'K', text: Buffer): Generator<Uint8Array> {
  const size = text.length + 1
  const own = { name: Buffer.from('././@LongLink'), target: Buffer.alloc(0), mode: 0, uid: 0, gid: 0, mtime: 0 }
  yield header({ ...own, size, flag })
  yield Buffer.concat([text, Buffer.alloc(1)])
  yield padding(size)
}

const padding = (size: number): Buffer => Buffer.alloc((block - (size % block)) % block)

interface Header {
  readonly name: Buffer
  readonly target: Buffer
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly mtime: number
  readonly flag: string
  readonly device?: readonly [number, number]
}

function header({ name, target, mode, uid, gid, size, mtime, flag, device = [0, 0] }: Header): Buffer {
  const bytes = Buffer.alloc(block)
  name.copy(bytes, 0, 0, longestName)
  number(bytes, 100, 8, mode)
  number(bytes, 108, 8, uid)
  number(bytes, 116, 8, gid)
  number(bytes, 124, 12, size)
  number(bytes, 136, 12, mtime)
  bytes.fill(' ', 148, 156)
  bytes.write(flag, 156, 'latin1')
  target.copy(bytes, 157, 0, longestName)
  bytes.write('ustar\x0000', 257, 'latin1')
  number(bytes, 329, 8, device[0])
  number(bytes, 337, 8, device[1])
  const sum = bytes.reduce((total, byte) => total + byte, 0)
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return bytes
}

/** In octal with a zero byte behind it; what does not fit in binary, with the first bit set (GNU). */
function number(bytes: Buffer, at: number, length: number, value: number): void {
  const octal = value.toString(8)
  if (octal.length < length) {
    bytes.write(octal.padStart(length - 1, '0'), at, 'latin1')
    return
  }
  bytes[at] = 0x80
  bytes.writeUIntBE(value, at + length - 6, 6)
}
