import { expect, test } from 'vitest'
import { absentNames, absentText, parseAbsent } from '../../src/compose/absent.ts'
import type { SegmentPlan } from '../../src/compose/plan.ts'
import type { Component, Entry } from '../../src/repository/component.ts'
import { digestOf } from '../../src/store/digest.ts'

const owner = { uid: 0, gid: 0, size: 0 } as const
const file = (path: string, text: string): Entry => ({
  ...owner,
  path,
  type: 'file',
  mode: 0o644,
  size: text.length,
  digest: digestOf(text),
})
const dir = (path: string): Entry => ({ ...owner, path, type: 'dir', mode: 0o755 })
const component = (name: string, entries: readonly Entry[]): Component => ({
  kind: 'deb',
  name,
  version: '1',
  architecture: 'amd64',
  mtime: 7,
  entries,
})
const planOf = (...paths: string[]): SegmentPlan => ({
  name: 'p',
  version: '',
  kind: 'deb',
  mtime: 0,
  entries: paths.map((path) => file(path, 'x')),
})

test('what a bundle lacks has all that stands in the stack and is not kept, with what a node needs to show it', () => {
  const stack = [
    component('one', [dir('/usr'), dir('/usr/share'), file('/usr/share/kept', 'x'), file('/usr/share/a b%\n', 'text')]),
    component('two', [
      { ...owner, path: '/usr/link', type: 'symlink', mode: 0o777, target: 'share/a b%\n' },
      { ...owner, path: '/usr/again', type: 'hardlink', mode: 0o600, target: '/usr/share/kept' },
      dir('/opt'),
      file('/dev/null', ''),
      file('/usr/secret', 'left out on purpose'),
    ]),
  ]
  const text = absentText(stack, [planOf('/usr/share/kept')], { drop: ['/usr/sec*'] })
  const hex = (content: string) => digestOf(content).slice('sha256:'.length)
  expect(text).toBe(
    [
      'c 7 one 1',
      `f 644 0 0 4 ${hex('text')} /usr/share/a%20b%25%0A`,
      'c 7 two 1',
      'd 755 0 0 /opt',
      `f 644 0 0 1 ${hex('x')} /usr/again`,
      'l 0 0 share/a%20b%25%0A /usr/link',
      '',
    ].join('\n'),
  )
  expect(parseAbsent(text)).toEqual(
    new Map([
      ['/usr/share/a b%\n', { type: 'file', component: 'one', digest: digestOf('text'), size: 4 }],
      ['/opt', { type: 'dir', component: 'two' }],
      ['/usr/again', { type: 'file', component: 'two', digest: digestOf('x'), size: 1 }],
      ['/usr/link', { type: 'symlink', component: 'two' }],
    ]),
  )
})

test('a bundle that has everything lacks nothing', () => {
  expect(absentText([component('one', [dir('/a'), file('/a/b', 'x')])], [planOf('/a/b')], { drop: [] })).toBe('')
})

test('names are FNV-1a hashes of paths and of the directories that they stand in, ascending, each once', () => {
  const bytes = absentNames(['/usr/é', '/usr/b', '/usr/b', 'a'])
  const hashes = Array.from({ length: bytes.length / 4 }, (_, at) => bytes.readUInt32LE(at * 4))
  expect(hashes).toEqual([...hashes].sort((a, b) => a - b))
  expect(hashes).toHaveLength(5)
  expect(hashes).toContain(0x26f410a9) // "/usr/"
  // From the test vectors of the function's authors.
  expect(hashes).toContain(0xe40c292c)
})
