/** What the loader reads from an ELF file (System V ABI, gABI chapter 5; ld.so(8)). */
export interface ElfFacts {
  readonly kind: 'elf'
  /** PT_INTERP. */
  readonly interpreter: string | undefined
  /** DT_NEEDED. */
  readonly needed: readonly string[]
  /** DT_RUNPATH, or DT_RPATH where there is none. */
  readonly searched: readonly string[]
  /** Of the segments that are executed: first byte and length in the file. */
  readonly code: readonly (readonly [offset: number, length: number])[]
}

export type ElfResult = ElfFacts | { readonly kind: 'bad'; readonly reason: string }

const maximumSegments = 256
const maximumDynamic = 8192
const maximumString = 4096

const types = { load: 1, dynamic: 2, interpreter: 3 } as const
/** PF_X. */
const executable = 1
const tags = { end: 0, needed: 1, stringTable: 5, rpath: 15, runpath: 29 } as const

/** Reads a 64-bit little-endian ELF file. Never throws, whatever the bytes are. */
export function parseElf(bytes: Buffer): ElfResult {
  try {
    return read(bytes)
  } catch (error) {
    if (error instanceof RangeError) return { kind: 'bad', reason: 'an offset leads outside the file' }
    throw error
  }
}

interface Segment {
  readonly type: number
  readonly flags: number
  readonly offset: number
  readonly address: number
  readonly size: number
}

function read(bytes: Buffer): ElfResult {
  if (bytes.length < 64 || bytes.readUInt32BE(0) !== 0x7f454c46) return { kind: 'bad', reason: 'no ELF header' }
  if (bytes[4] !== 2 || bytes[5] !== 1) return { kind: 'bad', reason: 'not 64-bit little-endian' }
  const segments = segmentsOf(bytes)
  if (segments === undefined) return { kind: 'bad', reason: 'the program headers are not as ELF has them' }
  const interpreterAt = segments.find(({ type }) => type === types.interpreter)
  const dynamic = segments.find(({ type }) => type === types.dynamic)
  const interpreter = interpreterAt && stringAt(bytes, interpreterAt.offset)
  const code = segments.flatMap(({ type, flags, offset, size }) =>
    type === types.load && (flags & executable) !== 0 && size > 0 ? [[offset, size] as const] : [],
  )
  if (!dynamic) return { kind: 'elf', interpreter, needed: [], searched: [], code }

  const entries: { tag: number; value: number }[] = []
  const count = Math.min(Math.floor(dynamic.size / 16), maximumDynamic)
  for (let index = 0; index < count; index++) {
    const at = dynamic.offset + index * 16
    const tag = word(bytes, at)
    if (tag === tags.end) break
    entries.push({ tag, value: word(bytes, at + 8) })
  }
  const address = entries.find(({ tag }) => tag === tags.stringTable)?.value
  const strings = address === undefined ? undefined : offsetOf(address, segments)
  if (strings === undefined) return { kind: 'bad', reason: 'the dynamic section has no string table' }
  const all = (wanted: number) =>
    entries.filter(({ tag }) => tag === wanted).map(({ value }) => stringAt(bytes, strings + value))
  const runpath = all(tags.runpath)
  const searched = (runpath.length > 0 ? runpath : all(tags.rpath)).flatMap((list) => list.split(':')).filter(Boolean)
  return { kind: 'elf', interpreter, needed: all(tags.needed).filter(Boolean), searched, code }
}

function segmentsOf(bytes: Buffer): Segment[] | undefined {
  const start = word(bytes, 32)
  const size = bytes.readUInt16LE(54)
  const count = bytes.readUInt16LE(56)
  if (count > maximumSegments || (count > 0 && size < 56)) return undefined
  return Array.from({ length: count }, (_, index) => {
    const at = start + index * size
    return {
      type: bytes.readUInt32LE(at),
      flags: bytes.readUInt32LE(at + 4),
      offset: word(bytes, at + 8),
      address: word(bytes, at + 16),
      size: word(bytes, at + 32),
    }
  })
}

function offsetOf(address: number, segments: readonly Segment[]): number | undefined {
  const segment = segments.find(
    (found) => found.type === types.load && address >= found.address && address < found.address + found.size,
  )
  return segment && address - segment.address + segment.offset
}

/** A 64-bit number; one beyond what any file holds is as good as out of range. */
function word(bytes: Buffer, at: number): number {
  return Number(bytes.readBigUInt64LE(at))
}

function stringAt(bytes: Buffer, at: number): string {
  if (!(at >= 0 && at < bytes.length)) throw new RangeError('outside')
  const end = bytes.indexOf(0, at)
  if (end < 0 || end - at > maximumString) throw new RangeError('endless')
  return bytes.toString('utf8', at, end)
}
