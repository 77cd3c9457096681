import { describe, expect, it } from 'vitest'
import { parseUnitFile, valuesOf } from '../../src/blueprint/unit-file.ts'
import { parseEnvironmentFile, withSpecifiers, withVariables, wordsOf } from '../../src/blueprint/unit-words.ts'

const invalid = (message: RegExp) =>
  expect.objectContaining({ code: 'UNIT_INVALID', message: expect.stringMatching(message) })

describe('a unit file', () => {
  it('is read with its comments left out and its continued lines put together', () => {
    const read = parseUnitFile(
      '# a comment\n\n[Service]\nExecStart=/bin/a \\\n# within\n  -b \\\n\n; another\nUser = web \nnonsense\n',
      'a.service',
    )
    expect(read).toEqual([
      { section: 'Service', key: 'ExecStart', value: '/bin/a    -b', where: 'a.service:4' },
      { section: 'Service', key: 'User', value: 'web', where: 'a.service:9' },
    ])
  })

  it('takes back what stood before an empty assignment', () => {
    const read = parseUnitFile('[Service]\nExecStart=/bin/a\nExecStart=\nExecStart=/bin/b\nExecStart=/bin/c\n', 'a')
    expect(valuesOf(read, 'ExecStart').map(({ value }) => value)).toEqual(['/bin/b', '/bin/c'])
  })

  it.each([
    ['[Service\nUser=x\n', /is no section/],
    ['[Service]\nUser=a\0b\n', /NUL/],
    [`[Service]\nUser=${'x'.repeat(1024 * 1024)}\n`, /longer than 1 MiB/],
    [`[Service]\n${'User=x\n'.repeat(5000)}`, /more than 4096/],
  ])('that is none is refused: %j', (text, message) => {
    expect(() => parseUnitFile(text.slice(0, 3_000_000), 'a.service')).toThrow(invalid(message))
  })
})

describe('the words of a value', () => {
  it.each([
    ['/bin/sh -c "echo \'a b\'" \'c "d"\'', ['/bin/sh', '-c', "echo 'a b'", 'c "d"']],
    [String.raw`a\x20b "c\td" \101 \u00e4 \s- \q`, ['a b', 'c\td', 'A', 'ä', ' -', String.raw`\q`]],
    ['a"b c"d \'\' ""', ['ab cd', '', '']],
    ['one ; two \\; three', ['one', ';', 'two', '\\;', 'three']],
  ])('%s', (value, words) => {
    expect(wordsOf(value, 'x')).toEqual(words)
  })

  it('must have their quotes closed', () => {
    expect(() => wordsOf('a "b', 'x')).toThrow(invalid(/quote is not closed/))
  })
})

describe('specifiers', () => {
  const name = { full: 'db-pool@15-main\\x2dx.service', prefix: 'db-pool', instance: '15-main\\x2dx' }

  it('stand for the names of the unit and the directories of the system', () => {
    const all = '%n|%N|%p|%P|%i|%I|%j|%f|%t|%S|%C|%L|%E|%h|%u|%%'
    expect(withSpecifiers(all, name, 'x')).toBe(
      'db-pool@15-main\\x2dx.service|db-pool@15-main\\x2dx|db-pool|db/pool|15-main\\x2dx|15/main-x|pool|/15/main-x|/run|/var/lib|/var/cache|/var/log|/etc|/root|root|%',
    )
  })

  it.each(['%H', '%m', '%', '%~'])('that only a node could know are refused: %s', (text) => {
    expect(() => withSpecifiers(text, name, 'x')).toThrow(invalid(/has no value/))
  })
})

describe('variables', () => {
  const braced = (name: string, more = '') => `$\{${name}}${more}`

  it('give one word in braces, any number without, and keep the main process for later', () => {
    const words = [
      '/bin/$A',
      braced('A', '-x'),
      '$A',
      '$NONE',
      braced('NONE'),
      '$$A',
      'pre$A',
      '$MAINPID',
      `-${braced('MAINPID')}`,
    ]
    expect(withVariables(words, { A: 'one  "two"' })).toEqual([
      '/bin/$A',
      'one  "two"-x',
      'one',
      'two',
      '',
      '$A',
      'pre$A',
      '$MAINPID',
      '-$MAINPID',
    ])
  })

  it('are read from an environment file as a shell would write them, with nothing filled in', () => {
    const text = '# no\nA=plain # kept\nB="two \\"words\\" $A"\n C=\'single \\\' # x\nnone\nD=a\\\nb\nE=\n1X=no\n'
    expect(parseEnvironmentFile(text)).toEqual({
      A: 'plain # kept',
      B: 'two "words" $A',
      C: 'single \\ # x',
      D: 'ab',
      E: '',
    })
  })
})
