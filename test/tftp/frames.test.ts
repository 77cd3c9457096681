import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FrameReader, type Told } from '../../src/tftp/frames.ts'

const framed = (payload: Buffer) => {
  const length = Buffer.alloc(4)
  length.writeUInt32LE(payload.length)
  return Buffer.concat([length, payload])
}

test('frames come whole, wherever the stream is cut', () => {
  const packet = fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes))
  const cuts = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 })
  const check = fc.property(fc.array(packet, { minLength: 1, maxLength: 8 }), cuts, (packets, steps) => {
    const from = Buffer.of(0x52, 10, 77, 0, 9, 0x39, 0x30)
    const stream = Buffer.concat(packets.map((bytes) => framed(Buffer.concat([from, bytes]))))
    const told: Told[] = []
    const reader = new FrameReader((one) => told.push(one))
    for (let at = 0, step = 0; at < stream.length; step++) {
      const end = at + steps[step % steps.length]!
      reader.read(stream.subarray(at, end))
      at = end
    }
    const source = { address: '10.77.0.9', port: 12345, family: 'IPv4' }
    expect(told).toEqual(packets.map((bytes) => ({ kind: 'received', bytes, from: { ...source, size: bytes.length } })))
  })
  fc.assert(check, { numRuns: 200 })
})
