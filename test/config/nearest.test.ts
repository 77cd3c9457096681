import { expect, test } from 'vitest'
import { nearest } from '../../src/config/nearest.ts'

test.each([
  ['prot', 'port'],
  ['pott', 'port'],
  ['INTERFACE', 'interface'],
  ['something', undefined],
])('%s probably means %s', (typed, meant) => {
  expect(nearest(typed, ['port', 'interface', 'range'])).toBe(meant)
})
