import { expect, test, vi } from 'vitest'
import { Contents } from '../../src/tftp/contents.ts'

const kinds = (ordered: readonly Buffer[]) => ordered.map((bytes) => String.fromCharCode(bytes[4]!))

test('what is small goes with the last who is sent it, what is large is kept for who comes next', () => {
  vi.useFakeTimers()
  try {
    const ordered: Buffer[] = []
    const contents = new Contents((bytes) => ordered.push(bytes))
    for (const size of [100, 100_000]) {
      const parts = [Buffer.alloc(size, 'x'), Buffer.alloc(0), Buffer.alloc(1, 'x')]
      const [one, other] = [contents.use(parts), contents.use([...parts])]
      expect(other).toBe(one)
      expect(kinds(ordered.splice(0))[0]).toBe('H')
      contents.release(one)
      expect(ordered).toEqual([])
      contents.release(other)
      expect(kinds(ordered)).toEqual(size === 100 ? ['D'] : [])
      ordered.length = 0
    }
    vi.advanceTimersByTime(20_000)
    expect(kinds(ordered)).toEqual(['D'])
  } finally {
    vi.useRealTimers()
  }
})

test('another order of the same parts is another content', () => {
  const ordered: Buffer[] = []
  const contents = new Contents((bytes) => ordered.push(bytes))
  const [a, b] = [Buffer.from('a'), Buffer.from('b')]
  expect(contents.use([a, b]).id).not.toBe(contents.use([b, a]).id)
})
