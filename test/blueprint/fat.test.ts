import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Fat, fatOf } from '../../src/blueprint/fat.ts'
import { pageSize } from '../../src/blueprint/pages.ts'
import { parseRules } from '../../src/blueprint/rules.ts'
import type { Reason, Selection } from '../../src/blueprint/selection.ts'
import type { Component } from '../../src/repository/component.ts'
import { digestOf } from '../../src/store/digest.ts'
import { Store } from '../../src/store/store.ts'
import { componentOf } from '../compose/stack.ts'

const libc = '/usr/lib/x86_64-linux-gnu/libc.so.6'
const libicu = '/usr/lib/x86_64-linux-gnu/libicudata.so.72'
const megabyte = 1 << 20
let directory: string
let fat: Fat

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootloom-fat-'))
  const store = await Store.open(directory)
  const tree = {
    // A real program, whose list of libraries has libc.so.6 alone.
    '/usr/bin/cat': await readFile('/bin/cat'),
    '/usr/bin/unused': await readFile('/bin/cat'),
    [libc]: Buffer.alloc(2 * megabyte, 'l'),
    [libicu]: Buffer.alloc(3 * megabyte, 'i'),
    '/usr/lib/used': Buffer.alloc(2 * megabyte, 'u'),
    '/usr/share/names/a': Buffer.alloc(megabyte, 'a'),
    '/usr/share/names/b': Buffer.alloc(megabyte, 'b'),
  }
  const ref = await componentOf(store, 'deb', 'app', '1.2-3', tree)
  const component = await store.readJson<Component>(ref.digest)
  const reasons: Readonly<Record<string, Reason>> = {
    [libc]: { kind: 'closure', by: 'library of /usr/bin/cat', from: '/usr/bin/cat' },
    '/usr/share/names/a': { kind: 'rule', by: 'names' },
    '/usr/share/names/b': { kind: 'rule', by: 'names' },
  }
  const files = component.entries
    .filter(({ path }) => path !== '/usr/bin/unused')
    .map((entry) => ({
      ...entry,
      ...(entry.path === libicu ? { pages: '0,7' } : {}),
      reason: reasons[entry.path] ?? ({ kind: 'observed', by: 'strace' } as const),
    }))
  const selection: Selection = {
    ...{ blueprint: 'x', stack: digestOf('stack'), profile: digestOf('profile') },
    parts: [{ component: ref, mtime: 0, files }],
  }
  const digestAt = (path: string) => component.entries.find((entry) => entry.path === path)!.digest!
  const pages = {
    [libc]: { digest: digestAt(libc), pages: '0-3' },
    [libicu]: { digest: digestAt(libicu), pages: '7' },
    '/usr/lib/used': { digest: digestAt('/usr/lib/used'), pages: '0-300' },
    '/usr/share/names/a': { digest: digestOf('what it was before'), pages: '0' },
  }
  const paths = ['/usr/bin/cat', libc].map((path) => ({ path, how: ['open'] as const }))
  const profile = { blueprint: 'x', stack: digestOf('stack'), methods: ['strace'] as const, paths }
  const rules = parseRules('- { name: names, why: w, when: [/usr/bin/cat], add: ["/usr/share/names/*"] }\n', 'x.yaml')
  fat = await fatOf({ selection, components: [component], witness: { profile }, pages, rules, store })
})
afterAll(() => rm(directory, { recursive: true, force: true }))

test('a large file of which little was read is named, with its package and who of the bundle needs it', () => {
  expect(fat.files.map(({ path }) => path)).toEqual([libicu, libc])
  expect(fat.files[1]).toMatchObject({
    ...{ component: 'app', version: '1.2-3', size: 2 * megabyte, read: 4 * pageSize, pages: '0-3' },
    ...{ neededBy: ['/usr/bin/cat'], loadedThrough: ['/usr/bin/cat'] },
  })
  expect(fat.files[1]!.chain.map(({ path }) => path)).toEqual([libc, '/usr/bin/cat'])
  expect(fat.files[1]).not.toHaveProperty('kept')
})

test('what a bundle carries of a file that it keeps by page is told, and counts as that', () => {
  expect(fat.files[0]).toMatchObject({ path: libicu, read: pageSize, kept: 2 * pageSize })
  expect(fat.size).toBeLessThan(6.5 * megabyte)
})

test('files that nothing touched are told together, by what pulls them', () => {
  expect(fat.groups).toMatchObject([{ component: 'app', kind: 'rule', by: 'names', files: 2, size: 2 * megabyte }])
})
