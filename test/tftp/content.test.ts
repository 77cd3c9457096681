import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Content } from '../../src/tftp/content.ts'

test('parts are read as one, wherever the pieces begin and end, in any order', () => {
  const parts = fc.array(
    fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
    { maxLength: 6 },
  )
  const places = fc.array(fc.tuple(fc.nat(120), fc.nat(120)), { maxLength: 10 })
  fc.assert(
    fc.property(parts, places, (buffers, pairs) => {
      const whole = Buffer.concat(buffers)
      const content = new Content(buffers)
      expect(content.size).toBe(whole.length)
      for (const [one, other] of pairs) {
        const [from, to] = [Math.min(one, other), Math.max(one, other)].map((at) => Math.min(at, whole.length))
        const target = Buffer.alloc(to! - from! + 4)
        content.copy(target, 4, from!, to!)
        expect(target.subarray(4)).toEqual(whole.subarray(from, to))
      }
    }),
  )
})
