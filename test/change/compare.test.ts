import { expect, test } from 'vitest'
import { answerOf } from '../../src/blueprint/answer.ts'
import { thresholdsOf, verify } from '../../src/blueprint/policy-schema.ts'
import { compareMeasures } from '../../src/change/verify/compare.ts'
import type { Measure } from '../../src/state/measures.ts'

const page = (status: string, text: string) => [{ step: 'GET /', answer: answerOf(status, text) as never }]
const measure = (more: Partial<Measure> = {}): Measure => ({
  boot: 4000,
  memory: 100e6,
  size: 20e6,
  answers: page('200 text/html', 'hello\n'),
  by: 'qemu',
  at: 1,
  ...more,
})
const compare = (given: unknown, now: Partial<Measure>, before: Measure | undefined = measure()) =>
  compareMeasures(thresholdsOf(verify.parse(given))!, measure(now), before)

test.each([
  ['the same', true, {}, []],
  ['a boot of half as much again', true, { boot: 6000 }, []],
  ['a boot of more', true, { boot: 6500 }, ['boots in 6.5 s, before 4.0 s: more than 1.5x']],
  ['a boot over a limit of its own', { boot: '4s' }, { boot: 4600 }, ['boots in 4.6 s, before 4.0 s: more than 4s']],
  ['more memory', true, { memory: 130e6 }, ['takes 130.0 MB, before 100.0 MB: more than 1.25x']],
  [
    'little more memory than a limit',
    { memory: '100MB' },
    { memory: 101e6 },
    ['takes 101.0 MB, before 100.0 MB: more than 100MB'],
  ],
  ['little more memory than before', { memory: '1.01x' }, { memory: 102e6 }, []],
  ['a larger bundle', { size: '21MB' }, { size: 22e6 }, ['is 22.0 MB, before 20.0 MB: more than 21MB']],
  [
    'another status',
    true,
    { answers: page('200 text/plain', 'hello\n') },
    ['GET /: answered 200 text/plain, not 200 text/html'],
  ],
  ['another text, which by default is only told', true, { answers: page('200 text/html', 'bye\n') }, []],
  ['another time in the text', { answers: 'same' }, { answers: page('200 text/html', 'hello\n') }, []],
  [
    'another text where it must be the same',
    { answers: 'same' },
    { answers: page('200 text/html', 'bye\n') },
    ['GET /: line 1 of the answer differs: "bye", not "hello"'],
  ],
  ['another status where any will do', { answers: 'any' }, { answers: page('404', 'hello\n') }, []],
])('a bundle that shows %s is judged by what the one before showed', (_what, given, now, findings) => {
  expect(compare(given, now).findings).toEqual(findings)
})

test('what was the reason to look twice is only the time to boot', () => {
  expect(compare(true, { boot: 9000 }).onlySlow).toBe(true)
  expect(compare(true, { boot: 9000, memory: 300e6 }).onlySlow).toBe(false)
  expect(compare(true, {}).onlySlow).toBe(false)
})

test('with nothing to compare with, only limits of its own count', () => {
  const thresholds = thresholdsOf(verify.parse({ memory: '90MB' }))!
  const { findings } = compareMeasures(thresholds, measure({ boot: 60_000 }), undefined)
  expect(findings).toEqual(['takes 100.0 MB: more than 90MB'])
})
