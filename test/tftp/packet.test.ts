import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeTftp, encodeTftp, type TftpPacket, TftpPacketError } from '../../src/tftp/packet.ts'

const bytes = (text: string) => Buffer.from(text, 'latin1')

/** Requests as firmware sends them (captured): iPXE, OVMF asking for the size, OVMF in earnest. */
const captured = {
  ipxe: bytes('\0\x01undionly.kpxe\0octet\0blksize\x001432\0tsize\x000\0'),
  ovmfSize: bytes('\0\x01snponly.efi\0octet\0tsize\x000\0blksize\x001468\0windowsize\x004\0'),
  ovmf: bytes('\0\x01snponly.efi\0octet\0blksize\x001468\0windowsize\x004\0'),
}

test.each(Object.entries(captured))('the request of %s is read, and written the same', (_who, request) => {
  const packet = decodeTftp(request)
  expect(packet).toMatchObject({ op: 'read', mode: 'octet' })
  expect(encodeTftp(packet)).toEqual(request)
})

test('options are known by lower-case names, in the order sent', () => {
  const packet = decodeTftp(bytes('\0\x01a\0OCTET\0BlkSize\x008\0tsize\x000\0'))
  expect(packet).toEqual({
    op: 'read',
    file: 'a',
    mode: 'octet',
    options: new Map([
      ['blksize', '8'],
      ['tsize', '0'],
    ]),
  })
})

test.each<[string, TftpPacket, string]>([
  ['data', { op: 'data', block: 0x1234, bytes: bytes('abc') }, '00031234616263'],
  ['an empty block', { op: 'data', block: 1, bytes: bytes('') }, '00030001'],
  ['an acknowledgement', { op: 'ack', block: 65535 }, '0004ffff'],
  ['an error', { op: 'error', code: 5, message: 'no' }, '000500056e6f00'],
  ['an OACK', { op: 'options', options: new Map([['tsize', '9']]) }, '00067473697a65003900'],
])('%s has the bytes of the RFC', (_name, packet, hex) => {
  expect(encodeTftp(packet).toString('hex')).toBe(hex)
  expect(decodeTftp(Buffer.from(hex, 'hex'))).toEqual(packet)
})

describe('what is no packet is refused, each fault under its name', () => {
  test.each([
    ['\0\x03', 'short'],
    ['\0\x09xx', 'unknown-op'],
    ['\0\x01a\0octet', 'no-terminator'],
    ['\0\x01abc\0', 'short'],
    ['\0\x01a\0octet\0tsize\0', 'odd-options'],
    ['\0\x01a\0octet\0tsize\x000\0TSIZE\x001\0', 'repeated-option'],
    [`\0\x01${'a'.repeat(2000)}\0octet\0`, 'too-long'],
  ])('%j', (text, fault) => {
    expect(() => decodeTftp(bytes(text))).toThrow(expect.objectContaining({ name: 'TftpPacketError', fault }))
  })
})

const word = fc.string({
  unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)),
  maxLength: 60,
})
const lower = word.map((text) => text.toLowerCase())
const options = fc.array(fc.tuple(lower, word), { maxLength: 4 }).map((entries) => new Map(entries))
const short = fc.nat(65535)
const packets: fc.Arbitrary<TftpPacket> = fc.oneof(
  fc.record({ op: fc.constantFrom('read' as const, 'write' as const), file: word, mode: lower, options }),
  fc.record({
    op: fc.constant('data' as const),
    block: short,
    bytes: fc.uint8Array({ maxLength: 1500 }).map((data) => Buffer.from(data)),
  }),
  fc.record({ op: fc.constant('ack' as const), block: short }),
  fc.record({ op: fc.constant('error' as const), code: short, message: word }),
  fc.record({ op: fc.constant('options' as const), options: options.filter((map) => map.size > 0) }),
)

test('whatever is encoded is decoded to the same', () => {
  fc.assert(
    fc.property(packets, (packet) => {
      expect(decodeTftp(encodeTftp(packet))).toEqual(packet)
    }),
    { numRuns: 500 },
  )
})

test('any bytes are a packet or a TftpPacketError', () => {
  const nearly = fc
    .tuple(fc.nat(7), fc.uint8Array({ maxLength: 1500 }))
    .map(([op, rest]) => Buffer.from([0, op, ...rest]))
  fc.assert(
    fc.property(fc.oneof(nearly, fc.uint8Array({ maxLength: 100 }).map(Buffer.from)), (any) => {
      try {
        decodeTftp(Buffer.from(any as Uint8Array))
      } catch (error) {
        expect(error).toBeInstanceOf(TftpPacketError)
      }
    }),
    { numRuns: 1000 },
  )
})
