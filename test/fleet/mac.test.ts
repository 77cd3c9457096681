import { expect, test } from 'vitest'
import { parseMac } from '../../src/fleet/mac.ts'

test.each(['52:54:00:AA:00:01', '52-54-00-aa-00-01', '5254.00aa.0001', '525400AA0001', ' 52:54:00:aa:00:01\n'])(
  '%j is the one MAC',
  (text) => {
    expect(parseMac(text)).toBe('52:54:00:aa:00:01')
  },
)

test.each(['', '52:54:00:aa:00', '52:54:00:aa:00:0g', '52:54-00:aa:00:01', '52:54:00:aa:00:01:02', 'net0/mac'])(
  '%j is no MAC',
  (text) => {
    expect(() => parseMac(text)).toThrow(expect.objectContaining({ code: 'MAC_INVALID' }))
  },
)
