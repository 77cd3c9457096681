import { describe, expect, it } from 'vitest'
import { answerOf, difference } from '../../src/blueprint/answer.ts'

describe('an answer', () => {
  it('is the same with another date, process id, size or id in it', () => {
    const before = answerOf('200', 'Sat, 21 Nov 2026 05:04:02 GMT, pid 41, took 0.12 s, id 4f1d9c2ab07e')
    const after = answerOf('200', 'Sun, 22 Nov 2026 11:59:10 GMT, pid 7133, took 1.9 s, id 00ab91c2ff31')
    expect(difference(before, after)).toBeUndefined()
  })

  it('differs by its status, its lines, and what stands in one of them', () => {
    const before = answerOf('200 text/css', 'a\nb\nc')
    expect(difference(before, answerOf('200 text/plain', 'a\nb\nc'))).toBe('answered 200 text/plain, not 200 text/css')
    expect(difference(before, answerOf('200 text/css', 'a\nb'))).toMatch(/^answered 2 lines, not 3: "a/)
    expect(difference(before, answerOf('200 text/css', 'a\nB\nc'))).toBe('line 2 of the answer differs: "B", not "b"')
  })

  it('is compared only by what is the same in two runs of the full stack', () => {
    const [once, twice] = [answerOf('exit 0', 'fixed\nsalt abc'), answerOf('exit 0', 'fixed\nsalt xyz')]
    expect(difference(once, answerOf('exit 0', 'fixed\nsalt qqq'))).toBeDefined()
    expect(difference(once, answerOf('exit 0', 'fixed\nsalt qqq'), twice)).toBeUndefined()
    expect(difference(once, answerOf('exit 0', 'broken\nsalt qqq'), twice)).toMatch(/^line 1/)
    expect(difference(once, answerOf('exit 0', 'more\nand\nmore'), answerOf('exit 0', 'fixed'))).toBeUndefined()
  })

  it('is told apart by its whole content however long it is', () => {
    const long = 'line\n'.repeat(5000)
    expect(difference(answerOf('exit 0', `${long}a`), answerOf('exit 0', `${long}b`))).toBeDefined()
  })
})
