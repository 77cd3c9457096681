import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { expect, test } from 'vitest'

const source = join(import.meta.dirname, '../src')

/** From the top down; rooms on one line do not know each other. */
const rooms = [
  ['cli'],
  ['console'],
  ['http'],
  ['dhcp', 'tftp'],
  ['change'],
  ['report'],
  ['fleet'],
  ['compose'],
  ['blueprint'],
  ['repository'],
  ['state'],
  ['store'],
  ['machine'],
  ['config'],
]
const levelOf = (room: string) => rooms.findIndex((line) => line.includes(room))

test('imports point down the list of rooms, never up or sideways', () => {
  const wrong = globSync('*/**/*.ts', { cwd: source }).flatMap((file) => {
    const room = file.split('/')[0]!
    const imports = readFileSync(join(source, file), 'utf8').matchAll(/(?:from|import) ?\(?'(\.[^']+)'/g)
    return [...imports].flatMap(([, target]) => {
      const other = relative(source, join(source, dirname(file), target!)).split('/')[0]!
      const down = other === room || levelOf(other) > levelOf(room)
      return other.startsWith('..') || down || other.endsWith('.ts') ? [] : [`${file} imports ${target}`]
    })
  })
  expect(wrong).toEqual([])
})

test('every room of src has its place in the list', () => {
  const found = globSync('*/', { cwd: source, withFileTypes: true }).filter((entry) => entry.isDirectory())
  expect(found.map(({ name }) => name).filter((name) => levelOf(name) === -1)).toEqual([])
})
