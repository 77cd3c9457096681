import { BootloomError } from '../../config/errors.ts'

/** One member of a tar archive (POSIX ustar, with GNU long names and pax headers). `name` and `target` are verbatim. */
export interface TarMember {
  readonly name: string
  readonly type: 'file' | 'dir' | 'symlink' | 'hardlink' | 'char' | 'block' | 'fifo'
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Seconds since 1970. */
  readonly mtime: number
  readonly target?: string
  readonly device?: readonly [number, number]
  /** Content of a file. */
  readonly body: Buffer
}

const types: Record<string, TarMember['type']> = {
  '\0': 'file',
  '0': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'dir',
  '6': 'fifo',
  '7': 'file',
}

/** More than any file of a Debian package; a size beyond it is a damaged or hostile header. */
const largestFile = 2 ** 30
const largestHeader = 1 << 16

/**
 * Reads a tar archive as it comes. Unlike the tar libraries at hand it tells device numbers and takes an archive that
 * ends early for what it is: damaged. Throws ARCHIVE_UNSAFE, naming `where`.
 */
export async function* readTar(source: AsyncIterable<Uint8Array>, where: string): AsyncGenerator<TarMember> {
  const unsafe = (message: string) => new BootloomError('ARCHIVE_UNSAFE', message, { where })
  const take = reader(source, () => unsafe('the archive ends too early'))
  let longName: string | undefined
  let longTarget: string | undefined
  let pax = new Map<string, string>()
  for (;;) {
    const header = await take(512)
    if (header.every((byte) => byte === 0)) break
    if (!checksumHolds(header)) throw unsafe('a header of the archive is damaged')
    const flag = String.fromCharCode(header[156]!)
    const size = Number(pax.get('size') ?? number(header, 124, 12))
    const limit = 'LKxg'.includes(flag) ? largestHeader : largestFile
    if (!Number.isSafeInteger(size) || size < 0 || size > limit) throw unsafe('a member of the archive is too large')
    const carries = flag === '0' || flag === '\0' || flag === '7' || 'LKxg'.includes(flag)
    const body = carries ? await take(size) : Buffer.alloc(0)
    if (carries) await take((512 - (size % 512)) % 512)
    if (flag === 'L') longName = text(body, 0, size, unsafe)
    else if (flag === 'K') longTarget = text(body, 0, size, unsafe)
    else if (flag === 'x') pax = paxRecords(body, unsafe)
    else if (flag !== 'g') {
      const type = types[flag]
      if (type === undefined) throw unsafe(`the archive holds a member of the unknown kind '${flag}'`)
      const name = pax.get('path') ?? longName ?? shortName(header, unsafe)
      const target = pax.get('linkpath') ?? longTarget ?? text(header, 157, 100, unsafe)
      yield {
        name,
        type,
        mode: number(header, 100, 8) & 0o7777,
        uid: Number(pax.get('uid') ?? number(header, 108, 8)),
        gid: Number(pax.get('gid') ?? number(header, 116, 8)),
        mtime: Math.floor(Number(pax.get('mtime') ?? number(header, 136, 12))),
        ...(type === 'symlink' || type === 'hardlink' ? { target } : {}),
        ...(type === 'char' || type === 'block'
          ? { device: [number(header, 329, 8), number(header, 337, 8)] as const }
          : {}),
        body,
      }
      longName = longTarget = undefined
      pax = new Map()
    }
  }
  // What writes into the pipe must not die of our going early: the padding is read to its end.
  for await (const _padding of take.rest());
}

function reader(source: AsyncIterable<Uint8Array>, early: () => Error) {
  const iterator = source[Symbol.asyncIterator]()
  let pending: Buffer = Buffer.alloc(0)
  const take = async (count: number): Promise<Buffer> => {
    if (pending.length < count) {
      const parts = [pending]
      let length = pending.length
      while (length < count) {
        const next = await iterator.next()
        if (next.done) throw early()
        parts.push(Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength))
        length += next.value.byteLength
      }
      pending = Buffer.concat(parts)
    }
    const taken = pending.subarray(0, count)
    pending = pending.subarray(count)
    return taken
  }
  take.rest = () => ({ [Symbol.asyncIterator]: () => iterator })
  return take
}

/** Octal digits, or base 256 when the first bit is set (GNU). */
function number(header: Buffer, start: number, length: number): number {
  if (header[start]! & 0x80) {
    let value = header[start]! & 0x7f
    for (let at = start + 1; at < start + length; at++) value = value * 256 + header[at]!
    return value
  }
  const digits = header
    .toString('latin1', start, start + length)
    .replace(/\0.*$/s, '')
    .trim()
  return digits === '' ? 0 : /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number.NaN
}

function checksumHolds(header: Buffer): boolean {
  let sum = 0
  for (let at = 0; at < 512; at++) sum += at >= 148 && at < 156 ? 32 : header[at]!
  return sum === number(header, 148, 8)
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function text(bytes: Buffer, start: number, length: number, unsafe: (message: string) => Error): string {
  const field = bytes.subarray(start, start + length)
  const end = field.indexOf(0)
  try {
    return strict.decode(end === -1 ? field : field.subarray(0, end))
  } catch {
    throw unsafe('a name in the archive is no UTF-8')
  }
}

function shortName(header: Buffer, unsafe: (message: string) => Error): string {
  const name = text(header, 0, 100, unsafe)
  // GNU's own format (`ustar  `) has other things where POSIX has the prefix.
  if (header.toString('latin1', 257, 263) !== 'ustar\0') return name
  const prefix = text(header, 345, 155, unsafe)
  return prefix === '' ? name : `${prefix}/${name}`
}

/** `LENGTH KEY=VALUE\n` after each other (pax(1)). */
function paxRecords(body: Buffer, unsafe: (message: string) => Error): Map<string, string> {
  const records = new Map<string, string>()
  for (let at = 0; at < body.length && body[at] !== 0; ) {
    const space = body.indexOf(32, at)
    const length = Number(body.toString('latin1', at, space))
    const equals = body.indexOf(61, space)
    if (space === -1 || !Number.isInteger(length) || length <= 0 || equals === -1 || at + length > body.length) {
      throw unsafe('an extended header of the archive is damaged')
    }
    records.set(
      text(body, space + 1, equals - space - 1, unsafe),
      text(body, equals + 1, at + length - equals - 2, unsafe),
    )
    at += length
  }
  return records
}
