import { expect, test } from 'vitest'
import { fuzzCodecs } from '../../lab/fuzz/codecs.ts'

test('mutants of real packets give a value or a typed error, and what is decoded is encoded to the same', () => {
  const { broken, decoded, count } = fuzzCodecs(20_000, 99, () => {})
  expect(broken).toEqual([])
  // Neither all noise nor all good: both roads are taken.
  expect(decoded).toBeGreaterThan(count / 4)
  expect(decoded).toBeLessThan(count * 0.9)
})
