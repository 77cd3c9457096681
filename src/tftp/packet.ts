/** TFTP packets (RFC 1350) with options (RFC 2347), bytes to value and back. */
export type TftpPacket =
  | {
      readonly op: 'read' | 'write'
      readonly file: string
      /** Lower-case: `octet`, `netascii`, `mail` or whatever was sent. */
      readonly mode: string
      readonly options: TftpOptions
    }
  | { readonly op: 'data'; readonly block: number; readonly bytes: Buffer }
  | { readonly op: 'ack'; readonly block: number }
  | { readonly op: 'error'; readonly code: number; readonly message: string }
  | { readonly op: 'options'; readonly options: TftpOptions }

/** Lower-case names to values, in the order sent. */
export type TftpOptions = ReadonlyMap<string, string>

export type TftpPacketFault = 'short' | 'unknown-op' | 'no-terminator' | 'odd-options' | 'repeated-option' | 'too-long'

/** The only thing that the codec throws, whatever the bytes. */
export class TftpPacketError extends Error {
  readonly fault: TftpPacketFault

  constructor(fault: TftpPacketFault, message: string) {
    super(message)
    this.name = 'TftpPacketError'
    this.fault = fault
  }
}

/** Error codes of RFC 1350 and 2347. */
export const tftpErrors = {
  undefined: 0,
  notFound: 1,
  accessViolation: 2,
  diskFull: 3,
  illegalOperation: 4,
  unknownTransfer: 5,
  optionsRefused: 8,
} as const

const opcodes = { read: 1, write: 2, data: 3, ack: 4, error: 5, options: 6 } as const
/** RFC 2347: a request has 512 bytes at most. Firmware's long URLs are given twice that. */
const longestRequest = 1024

/** Reads a packet. Throws TftpPacketError and nothing else. The bytes of `data` are a view of what was given. */
export function decodeTftp(bytes: Buffer): TftpPacket {
  if (bytes.length < 4) throw new TftpPacketError('short', `${bytes.length} bytes are no TFTP packet`)
  const opcode = bytes.readUInt16BE(0)
  switch (opcode) {
    case opcodes.read:
    case opcodes.write:
      return decodeRequest(opcode === opcodes.read ? 'read' : 'write', bytes)
    case opcodes.data:
      return { op: 'data', block: bytes.readUInt16BE(2), bytes: bytes.subarray(4) }
    case opcodes.ack:
      return { op: 'ack', block: bytes.readUInt16BE(2) }
    case opcodes.error:
      return { op: 'error', code: bytes.readUInt16BE(2), message: untilNul(bytes.subarray(4)) }
    case opcodes.options:
      return { op: 'options', options: toOptions(texts(bytes.subarray(2))) }
    default:
      throw new TftpPacketError('unknown-op', `opcode ${opcode}`)
  }
}

function decodeRequest(op: 'read' | 'write', bytes: Buffer): TftpPacket {
  const [file, mode, ...rest] = texts(bytes.subarray(2))
  if (file === undefined || mode === undefined) throw new TftpPacketError('short', 'a request without file or mode')
  return { op, file, mode: mode.toLowerCase(), options: toOptions(rest) }
}

/** Texts that each end with a NUL. */
function texts(bytes: Buffer): string[] {
  if (bytes.length > longestRequest) throw new TftpPacketError('too-long', `${bytes.length} bytes of text`)
  if (bytes.at(-1) !== 0) throw new TftpPacketError('no-terminator', 'text without its NUL')
  return bytes.toString('latin1', 0, bytes.length - 1).split('\0')
}

function toOptions(words: readonly string[]): Map<string, string> {
  if (words.length % 2 !== 0) throw new TftpPacketError('odd-options', 'an option without a value')
  const options = new Map<string, string>()
  for (let at = 0; at < words.length; at += 2) {
    const name = words[at]!.toLowerCase()
    if (options.has(name)) throw new TftpPacketError('repeated-option', `${name} twice`)
    options.set(name, words[at + 1]!)
  }
  return options
}

/** Error messages are for people, and some peers forget the NUL. */
function untilNul(bytes: Buffer): string {
  const end = bytes.indexOf(0)
  return bytes.toString('latin1', 0, Math.min(end === -1 ? bytes.length : end, longestRequest))
}

export function encodeTftp(packet: TftpPacket): Buffer {
  switch (packet.op) {
    case 'read':
    case 'write':
      return withTexts(opcodes[packet.op], [packet.file, packet.mode, ...[...packet.options].flat()])
    case 'data':
      return Buffer.concat([dataHeader(packet.block), packet.bytes])
    case 'ack':
      return Buffer.concat([twoBytes(opcodes.ack), twoBytes(packet.block)])
    case 'error':
      return Buffer.concat([
        twoBytes(opcodes.error),
        twoBytes(packet.code),
        Buffer.from(`${packet.message}\0`, 'latin1'),
      ])
    case 'options':
      return withTexts(opcodes.options, [...packet.options].flat())
  }
}

/** The four bytes before a block. */
const dataHeader = (block: number) => Buffer.of(0, opcodes.data, block >> 8, block & 0xff)

const twoBytes = (value: number) => Buffer.of(value >> 8, value & 0xff)

const withTexts = (opcode: number, words: readonly string[]) =>
  Buffer.concat([twoBytes(opcode), Buffer.from(words.map((word) => `${word}\0`).join(''), 'latin1')])
