import { lengthOfOptions, splitOption, writeOptions } from './option-bytes.ts'
import type { Options } from './options.ts'

/**
 * The DHCP message of RFC 2131 §2, bytes to value and back. Options split by RFC 3396 or overloaded into `sname` and
 * `file` (option 52) are joined; each is kept by number, known or not, in the order in which it first appeared.
 */
export interface DhcpPacket {
  /** 1 from clients, 2 from servers. */
  readonly op: 1 | 2
  readonly htype: number
  readonly hops: number
  readonly xid: number
  readonly secs: number
  readonly flags: number
  readonly ciaddr: string
  readonly yiaddr: string
  readonly siaddr: string
  readonly giaddr: string
  /** The hardware address: `hlen` bytes, 16 at most. */
  readonly chaddr: Buffer
  /** Text up to its first NUL; empty when the field carried options. */
  readonly sname: string
  readonly file: string
  readonly options: Options
}

export type DhcpPacketFault = 'short' | 'no-cookie' | 'bad-op' | 'bad-hlen' | 'option-overruns' | 'too-long'

/** The only thing that the codec throws, whatever the bytes. */
export class DhcpPacketError extends Error {
  readonly fault: DhcpPacketFault

  constructor(fault: DhcpPacketFault, message: string) {
    super(message)
    this.name = 'DhcpPacketError'
    this.fault = fault
  }
}

export const broadcastFlag = 0x8000
export const noAddress = '0.0.0.0'

const cookie = 0x63825363
const [PAD, OVERLOAD, END] = [0, 52, 255]
const field = { chaddr: [28, 44], sname: [44, 108], file: [108, 236] } as const
const optionsAt = 240
/** BOOTP's message size (RFC 1542 §2.1): some relays and firmware drop shorter ones. */
export const usualSize = 300
/** What every client takes: 576 bytes of IP datagram (RFC 2131 §2), less 28 of IP and UDP headers. */
const headers = 28
const everyClientTakes = 576

/** Reads a message. Throws DhcpPacketError and nothing else; the result shares no memory with `bytes`. */
export function decodePacket(bytes: Buffer): DhcpPacket {
  if (bytes.length < optionsAt) throw new DhcpPacketError('short', `${bytes.length} bytes are no DHCP message`)
  const op = bytes[0]
  if (op !== 1 && op !== 2) throw new DhcpPacketError('bad-op', `op is ${op}`)
  const hlen = bytes[2]!
  if (hlen > 16) throw new DhcpPacketError('bad-hlen', `a hardware address of ${hlen} bytes`)
  if (bytes.readUInt32BE(236) !== cookie) throw new DhcpPacketError('no-cookie', 'BOOTP without the DHCP cookie')
  const own = Buffer.from(bytes)
  const options = new Map<number, Buffer>()
  readOptions(own, optionsAt, own.length, options)
  // RFC 2131 §4.1: first the options field, then `file`, then `sname`. Only the first may say that there is more.
  const overload = options.get(OVERLOAD)?.[0] ?? 0
  if (options.delete(OVERLOAD)) {
    if (overload & 1) readOptions(own, ...field.file, options)
    if (overload & 2) readOptions(own, ...field.sname, options)
    options.delete(OVERLOAD)
  }
  return {
    op,
    htype: own[1]!,
    hops: own[3]!,
    xid: own.readUInt32BE(4),
    secs: own.readUInt16BE(8),
    flags: own.readUInt16BE(10),
    ciaddr: addressAt(own, 12),
    yiaddr: addressAt(own, 16),
    siaddr: addressAt(own, 20),
    giaddr: addressAt(own, 24),
    chaddr: own.subarray(28, 28 + hlen),
    sname: overload & 2 ? '' : textIn(own, ...field.sname),
    file: overload & 1 ? '' : textIn(own, ...field.file),
    options,
  }
}

const addressAt = (bytes: Buffer, at: number) =>
  bytes.readUInt32BE(at) === 0 ? noAddress : `${bytes[at]!}.${bytes[at + 1]!}.${bytes[at + 2]!}.${bytes[at + 3]!}`

/** Reads the options from `at` to `end`; what a packet splits (RFC 3396 §7) is joined in the order of its parts. */
function readOptions(bytes: Buffer, from: number, end: number, into: Map<number, Buffer>): void {
  let split: Map<number, Buffer[]> | undefined
  for (let at = from; at < end; ) {
    const code = bytes[at++]!
    if (code === PAD) continue
    if (code === END) break
    const length = at < end ? bytes[at++]! : end
    if (at + length > end) {
      throw new DhcpPacketError('option-overruns', `option ${code} runs past the end of its field`)
    }
    const value = bytes.subarray(at, at + length)
    const earlier = into.get(code)
    if (earlier) {
      split ??= new Map()
      const parts = split.get(code)
      if (parts) parts.push(value)
      else split.set(code, [earlier, value])
    } else into.set(code, value)
    at += length
  }
  // Once, at the end: a packet of nothing but parts costs no more than its bytes.
  if (split) for (const [code, parts] of split) into.set(code, Buffer.concat(parts))
}

function textIn(bytes: Buffer, from: number, to: number): string {
  if (bytes[from] === 0) return ''
  const end = bytes.indexOf(0, from)
  return bytes.toString('latin1', from, end === -1 || end > to ? to : end)
}

/**
 * Writes a message of 300 bytes or more. `maximumSize` is the receiver's option 57 (the IP datagram, headers included;
 * less than 576 counts as 576). What does not fit the options field goes to `file` and `sname` where those are empty;
 * what fits nowhere is a DhcpPacketError `too-long`.
 */
export function encodePacket(packet: DhcpPacket, maximumSize = everyClientTakes): Buffer {
  if (packet.chaddr.length > 16) throw new DhcpPacketError('bad-hlen', 'a hardware address has 16 bytes at most')
  const room = Math.max(maximumSize, everyClientTakes) - headers - optionsAt - 1
  const length = lengthOfOptions(packet.options)
  // Nearly always: all fits where it belongs.
  const fields = length <= room ? undefined : placeOptions(chunksOf(packet.options), room, packet)
  // Out of Node's pool: memory of its own for each reply costs the garbage collector more than all else here.
  const bytes = Buffer.allocUnsafe(Math.max(usualSize, optionsAt + (fields?.options.length ?? length) + 1)).fill(0)
  bytes[0] = packet.op
  bytes[1] = packet.htype
  bytes[2] = packet.chaddr.length
  bytes[3] = packet.hops
  bytes.writeUInt32BE(packet.xid, 4)
  bytes.writeUInt16BE(packet.secs, 8)
  bytes.writeUInt16BE(packet.flags, 10)
  writeAddress(bytes, 12, packet.ciaddr)
  writeAddress(bytes, 16, packet.yiaddr)
  writeAddress(bytes, 20, packet.siaddr)
  writeAddress(bytes, 24, packet.giaddr)
  bytes.set(packet.chaddr, field.chaddr[0])
  bytes.writeUInt32BE(cookie, 236)
  if (fields) {
    bytes.set(fields.sname, field.sname[0])
    bytes.set(fields.file, field.file[0])
    bytes.set(fields.options, optionsAt)
    bytes[optionsAt + fields.options.length] = END
  } else {
    writeText(bytes, packet.sname, field.sname)
    writeText(bytes, packet.file, field.file)
    bytes[writeOptions(bytes, optionsAt, packet.options)] = END
  }
  return bytes
}

function writeAddress(bytes: Buffer, at: number, address: string): void {
  if (address === noAddress) return
  let part = 0
  for (let i = 0; i < address.length; i++) {
    const digit = address.charCodeAt(i) - 48
    if (digit >= 0) part = part * 10 + digit
    else {
      bytes[at++] = part
      part = 0
    }
  }
  bytes[at] = part
}

const chunksOf = (options: Options) => [...options].flatMap(([code, value]) => splitOption(code, value))

/** Where the options field alone is too small. */
function placeOptions(chunks: readonly Buffer[], room: number, packet: DhcpPacket) {
  const fixed = { sname: fixedText(packet.sname, field.sname), file: fixedText(packet.file, field.file) }
  const first = fill(chunks, room - 3)
  const second = packet.file === '' ? fill(first.rest, lengthOf(field.file) - 1) : { taken: [], rest: first.rest }
  const third = packet.sname === '' ? fill(second.rest, lengthOf(field.sname) - 1) : { taken: [], rest: second.rest }
  if (third.rest.length > 0) throw new DhcpPacketError('too-long', `the options do not fit ${room} bytes`)
  const overload = (second.taken.length > 0 ? 1 : 0) | (third.taken.length > 0 ? 2 : 0)
  return {
    options: Buffer.concat([...first.taken, Buffer.of(OVERLOAD, 1, overload)]),
    file: second.taken.length > 0 ? Buffer.concat([...second.taken, Buffer.of(END)]) : fixed.file,
    sname: third.taken.length > 0 ? Buffer.concat([...third.taken, Buffer.of(END)]) : fixed.sname,
  }
}

const lengthOf = ([from, to]: readonly [number, number]) => to - from

/** Options in order, so that the parts of a split one are joined in order too: the first that does not fit ends it. */
function fill(chunks: readonly Buffer[], room: number): { taken: Buffer[]; rest: readonly Buffer[] } {
  let used = 0
  let end = 0
  while (end < chunks.length && used + chunks[end]!.length <= room) used += chunks[end++]!.length
  return { taken: chunks.slice(0, end), rest: chunks.slice(end) }
}

function fixedText(text: string, [from, to]: readonly [number, number]): Buffer {
  const bytes = Buffer.from(text, 'latin1')
  // One byte less than the field: readers expect a NUL.
  if (bytes.length > to - from - 1) throw new DhcpPacketError('too-long', `${text} does not fit its field`)
  return bytes
}

function writeText(bytes: Buffer, text: string, where: readonly [number, number]): void {
  if (text !== '') bytes.set(fixedText(text, where), where[0])
}
