import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { messageType, readOption, writeOptions } from '../../src/dhcp/options.ts'
import { type DhcpPacket, DhcpPacketError, decodePacket, encodePacket } from '../../src/dhcp/packet.ts'
import { golden, goldenNames } from './golden.ts'

const requests = goldenNames.filter((name) => !name.startsWith('reply-'))

/** Up to the end option: what follows is padding, and each sender pads as it likes. */
function meaningful(bytes: Buffer): Buffer {
  let at = 240
  while (at < bytes.length && bytes[at] !== 255) at += bytes[at] === 0 ? 1 : 2 + bytes[at + 1]!
  return bytes.subarray(0, at + 1)
}

describe('packets of real clients', () => {
  test.each(requests)('%s: decoded and encoded again, it is the same bytes', (name) => {
    const bytes = golden(name)
    const again = encodePacket(decodePacket(bytes), 1500)
    expect(meaningful(again).toString('hex')).toBe(meaningful(bytes).toString('hex'))
    expect(again.length).toBeGreaterThanOrEqual(300)
  })

  test('every field of an OVMF request is read', () => {
    const packet = decodePacket(golden('ovmf-pxe-request'))
    expect(packet).toMatchObject({
      op: 1,
      htype: 1,
      hops: 0,
      flags: 0x8000,
      ciaddr: '0.0.0.0',
      yiaddr: '0.0.0.0',
      giaddr: '0.0.0.0',
      sname: '',
      file: '',
    })
    expect(packet.chaddr.toString('hex')).toBe('525400aa0003')
    expect(messageType(packet.options)).toBe('request')
    expect(readOption(packet.options, 'serverIdentifier')).toBe('10.77.0.1')
    expect(readOption(packet.options, 'requestedAddress')).toBe('10.77.227.210')
    expect(readOption(packet.options, 'maximumSize')).toBe(65280)
    expect(readOption(packet.options, 'architecture')).toEqual([7])
    expect(readOption(packet.options, 'vendorClass')).toBe('PXEClient:Arch:00007:UNDI:003000')
    expect(readOption(packet.options, 'machineIdentifier')).toEqual(Buffer.alloc(17))
  })

  test('an unknown option is kept by its number', () => {
    const packet = decodePacket(golden('ipxe-bios-discover'))
    expect(packet.options.get(94)).toEqual(Buffer.of(1, 2, 1))
    expect([...packet.options.keys()]).toEqual([53, 57, 93, 94, 60, 77, 55, 175, 61, 97])
  })
})

const plain: DhcpPacket = {
  op: 2,
  htype: 1,
  hops: 0,
  xid: 0x12345678,
  secs: 0,
  flags: 0,
  ciaddr: '0.0.0.0',
  yiaddr: '10.0.0.5',
  siaddr: '0.0.0.0',
  giaddr: '0.0.0.0',
  chaddr: Buffer.from('525400aa0001', 'hex'),
  sname: '',
  file: '',
  options: writeOptions({ messageType: 2 }),
}

/** A message with these bytes in its options field, and in `file` and `sname`. */
function raw(options: number[], file: number[] = [], sname: number[] = []): Buffer {
  const bytes = Buffer.alloc(240 + options.length)
  encodePacket(plain).copy(bytes, 0, 0, 240)
  bytes.set(sname, 44)
  bytes.set(file, 108)
  bytes.set(options, 240)
  return bytes
}

const fault = (bytes: Buffer) => {
  try {
    decodePacket(bytes)
  } catch (error) {
    return (error as DhcpPacketError).fault
  }
  return undefined
}

describe('options', () => {
  test('pad bytes are skipped one by one, and nothing is read after the end option', () => {
    const packet = decodePacket(raw([0, 0, 53, 1, 1, 0, 12, 1, 65, 255, 60, 1, 66]))
    expect([...packet.options]).toEqual([
      [53, Buffer.of(1)],
      [12, Buffer.of(65)],
    ])
  })

  test('overloaded fields are read after the options, file before sname, and are no text then', () => {
    const packet = decodePacket(raw([52, 1, 3, 60, 1, 65, 255], [60, 1, 66, 255], [60, 1, 67, 52, 1, 1, 255]))
    expect([...packet.options]).toEqual([[60, Buffer.from('ABC')]])
    expect(packet).toMatchObject({ file: '', sname: '' })
  })

  test('parts of a long option are joined in order (RFC 3396)', () => {
    const packet = decodePacket(raw([67, 2, 65, 66, 12, 1, 88, 67, 1, 67, 255]))
    expect(readOption(packet.options, 'bootFile')).toBe('ABC')
  })

  test('a value of a length that cannot be right counts as absent', () => {
    const packet = decodePacket(raw([50, 3, 10, 0, 0, 57, 1, 9, 93, 3, 0, 7, 0, 3, 0, 255]))
    for (const name of ['requestedAddress', 'maximumSize', 'architecture', 'routers'] as const) {
      expect(readOption(packet.options, name)).toBeUndefined()
    }
  })

  test('text ends at a NUL', () => {
    expect(readOption(new Map([[12, Buffer.from('node\0\0')]]), 'hostName')).toBe('node')
  })

  test('a value longer than 255 bytes is split, and one that overflows goes to file and sname', () => {
    const long = new Map([
      [53, Buffer.of(2)],
      [43, Buffer.alloc(300, 7)],
      [60, Buffer.from('HTTPClient')],
    ])
    const bytes = encodePacket({ ...plain, options: long })
    expect(bytes.length).toBeLessThanOrEqual(548)
    expect(decodePacket(bytes).options).toEqual(long)
    expect(bytes.length).toBeGreaterThanOrEqual(300)
    expect(encodePacket({ ...plain, options: long }, 1500).length).toBeGreaterThan(548)
  })

  test('what fits nowhere is refused, and a full file field is not overloaded', () => {
    const much = new Map([[43, Buffer.alloc(700)]])
    const small = new Map([[43, Buffer.alloc(370)]])
    expect(() => encodePacket({ ...plain, options: much })).toThrow(DhcpPacketError)
    expect(decodePacket(encodePacket({ ...plain, options: small })).options).toEqual(small)
    expect(() => encodePacket({ ...plain, file: 'x', sname: 'y', options: small })).toThrow(DhcpPacketError)
  })
})

test('what is no DHCP message is refused, each fault under its name', () => {
  expect(fault(Buffer.alloc(0))).toBe('short')
  expect(fault(raw([]).subarray(0, 239))).toBe('short')
  expect(fault(raw([53]))).toBe('option-overruns')
  expect(fault(raw([53, 9, 1]))).toBe('option-overruns')
  expect(fault(raw([52, 1, 1, 255], [...Array(126).fill(0), 60, 1]))).toBe('option-overruns')
  const changed = (at: number, value: number) => {
    const bytes = raw([255])
    bytes[at] = value
    return bytes
  }
  expect(fault(changed(0, 3))).toBe('bad-op')
  expect(fault(changed(2, 17))).toBe('bad-hlen')
  expect(fault(changed(239, 0))).toBe('no-cookie')
})

const address = fc.ipV4()
const text = (most: number) =>
  fc.string({ unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)), maxLength: most })
const packets: fc.Arbitrary<DhcpPacket> = fc.record({
  op: fc.constantFrom(1 as const, 2 as const),
  htype: fc.nat(255),
  hops: fc.nat(255),
  xid: fc.nat(0xffffffff),
  secs: fc.nat(0xffff),
  flags: fc.nat(0xffff),
  ciaddr: address,
  yiaddr: address,
  siaddr: address,
  giaddr: address,
  chaddr: fc.uint8Array({ maxLength: 16 }).map((bytes) => Buffer.from(bytes)),
  sname: text(63),
  file: text(127),
  options: fc
    .array(
      fc.tuple(
        // 0 and 255 are no options, 52 is the codec's own.
        fc.integer({ min: 1, max: 254 }).filter((code) => code !== 52),
        fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes)),
      ),
      { maxLength: 12 },
    )
    .map((entries) => new Map(entries)),
})

test('whatever is encoded is decoded to the same', () => {
  fc.assert(
    fc.property(packets, (packet) => {
      expect(decodePacket(encodePacket(packet, 65535))).toEqual(packet)
    }),
    { numRuns: 300 },
  )
})

test('a small packet holds what was put into it, or is refused', () => {
  fc.assert(
    fc.property(packets, fc.nat(1500), (packet, most) => {
      let bytes: Buffer
      try {
        bytes = encodePacket(packet, most)
      } catch (error) {
        expect(error).toBeInstanceOf(DhcpPacketError)
        return
      }
      expect(bytes.length).toBeLessThanOrEqual(Math.max(most, 576) - 28)
      expect(decodePacket(bytes)).toEqual(packet)
    }),
    { numRuns: 300 },
  )
})

test('any bytes are a message or a DhcpPacketError', () => {
  const header = fc.uint8Array({ minLength: 232, maxLength: 232 })
  const nearly = fc
    .tuple(header, fc.uint8Array({ maxLength: 1200 }))
    .map(([head, options]) => Buffer.concat([Buffer.of(1, 1, 6, 0), head, Buffer.of(99, 130, 83, 99), options]))
  const anything = fc.oneof(
    nearly,
    fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes)),
    mutated(),
  )
  fc.assert(
    fc.property(anything, (bytes) => {
      try {
        const packet = decodePacket(bytes)
        expect(packet.options.size).toBeLessThanOrEqual(254)
      } catch (error) {
        expect(error).toBeInstanceOf(DhcpPacketError)
      }
    }),
    { numRuns: 1000 },
  )
})

/** Real packets with a few bytes changed. */
function mutated(): fc.Arbitrary<Buffer> {
  const change = fc.tuple(fc.nat(420), fc.nat(255))
  return fc.tuple(fc.constantFrom(...requests), fc.array(change, { maxLength: 6 })).map(([name, changes]) => {
    const bytes = golden(name)
    for (const [at, value] of changes) bytes[at % bytes.length] = value
    return bytes
  })
}
