import fc from 'fast-check'
import { expect, test } from 'vitest'
import { toNetascii } from '../../src/tftp/netascii.ts'

test.each([
  ['a\nb', 'a\r\nb'],
  ['a\rb', 'a\r\0b'],
  ['\r\n', '\r\0\r\n'],
  ['', ''],
])('%j is %j in netascii', (text, netascii) => {
  expect(toNetascii(Buffer.from(text)).toString()).toBe(netascii)
})

/** RFC 764: CR LF is a line's end, CR NUL a carriage return. */
const back = (bytes: Buffer): Buffer =>
  Buffer.from(
    bytes.toString('latin1').replace(/\r([\n\0])/g, (_pair, second) => (second === '\n' ? '\n' : '\r')),
    'latin1',
  )

test('whatever is translated comes back', () => {
  const text = fc.array(fc.oneof(fc.constantFrom(0, 10, 13), fc.nat(255)), { maxLength: 200 })
  fc.assert(
    fc.property(text, (bytes) => {
      expect(back(toNetascii(Buffer.from(bytes)))).toEqual(Buffer.from(bytes))
    }),
  )
})
