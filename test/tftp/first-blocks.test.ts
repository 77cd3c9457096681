import { expect, test } from 'vitest'
import { FirstBlocks } from '../../src/tftp/first-blocks.ts'

const allowed = (blocks: FirstBlocks, times: number, now: number) =>
  Array.from({ length: times }, (_, i) => blocks.allow(`10.9.${i >> 8}.${i & 255}`, now)).filter(Boolean).length

test('sources that have proven nothing are sent 200 first blocks at once and 100 a second, together', () => {
  const blocks = new FirstBlocks()
  expect(allowed(blocks, 1000, 5000)).toBe(200)
  expect(allowed(blocks, 1000, 6000)).toBe(100)
  expect(allowed(blocks, 1000, 90_000)).toBe(200)
})

test('who has acknowledged is outside the budget for ten minutes', () => {
  const blocks = new FirstBlocks()
  blocks.proved('10.1.0.1', 0)
  allowed(blocks, 1000, 0)
  expect(blocks.allow('10.1.0.1', 1)).toBe(true)
  expect(blocks.allow('10.1.0.2', 1)).toBe(false)
  allowed(blocks, 1000, 600_000)
  expect(blocks.allow('10.1.0.1', 600_001)).toBe(false)
})

test('of the proven only the latest ten thousand are remembered', () => {
  const blocks = new FirstBlocks()
  for (let i = 0; i <= 10_000; i++) blocks.proved(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, 0)
  allowed(blocks, 1000, 0)
  expect(blocks.allow('10.0.0.0', 0)).toBe(false)
  expect(blocks.allow('10.0.0.1', 0)).toBe(true)
})
