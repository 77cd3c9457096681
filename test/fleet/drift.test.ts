import { expect, test } from 'vitest'
import { parseInventory } from '../../src/fleet/drift.ts'

test('what a node tells of its root is read line by line, with what may not stand in one', () => {
  const found = parseInventory(
    [
      'f\t4755\t0\t33\t12\tabcd\t/usr/bin/a%20b%0A%25',
      'l\t777\t0\t0\t0\t/to%C3%A9\t/link',
      'd\t1777\t0\t0\t0\t-\t/tmp',
      'w\t0\t0\t0\t0\t-\t/gone',
    ].join('\n'),
  )
  expect([...found.found]).toEqual([
    ['/usr/bin/a b\n%', { type: 'f', mode: 0o4755, uid: 0, gid: 33, size: 12, holds: 'abcd' }],
    ['/link', { type: 'l', mode: 0o777, uid: 0, gid: 0, size: 0, holds: '/toé' }],
    ['/tmp', { type: 'd', mode: 0o1777, uid: 0, gid: 0, size: 0, holds: '-' }],
  ])
  expect([...found.gone]).toEqual(['/gone'])
})

test.each([
  '',
  'x\t644\t0\t0\t1\tab\t/x',
  'f\t99999\t0\t0\t1\tab\t/x',
  'f\t644\t0\t0\t1\tab\tx',
  'f\t644\t0\t0\t1\tab\t/x\tmore',
])('a line that does not fit is dropped: %j', (line) => expect(parseInventory(line).found.size).toBe(0))
