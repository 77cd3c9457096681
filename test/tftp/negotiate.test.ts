import fc from 'fast-check'
import { expect, test } from 'vitest'
import { negotiate } from '../../src/tftp/negotiate.ts'
import { encodeTftp } from '../../src/tftp/packet.ts'

test('an OACK is never longer than the request that it answers', () => {
  const value = fc.oneof(fc.constantFrom('', '0', '8', '65464', '00000008', '255'), fc.string({ maxLength: 6 }))
  const names = fc.constantFrom('tsize', 'blksize', 'windowsize', 'timeout', 'unknown')
  const options = fc.array(fc.tuple(names, value)).map((pairs) => new Map(pairs))
  fc.assert(
    fc.property(options, fc.nat(99_999_999), (asked, size) => {
      const request = encodeTftp({ op: 'read', file: 'x', mode: 'octet', options: asked })
      const { accepted } = negotiate(asked, size, 1468)
      expect(encodeTftp({ op: 'options', options: accepted }).length).toBeLessThanOrEqual(request.length)
    }),
  )
})
