import { link, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readDeb } from '../../../src/repository/deb/archive.ts'
import { digestOf } from '../../../src/store/digest.ts'
import { buildDeb, debOfTar, tarOf, temporaryContext } from './built.ts'

let context: Awaited<ReturnType<typeof temporaryContext>>
beforeAll(async () => {
  context = await temporaryContext()
})
afterAll(() => context.close())

const read = async (file: string) => {
  const batch = await context.store.batch()
  try {
    const contents = await readDeb(file, 'the package', batch)
    await batch.commit()
    return contents
  } finally {
    await batch.abandon()
  }
}

test('a package is read with every path, owner, mode, digest and conffile, at its place in the installed root', async () => {
  const file = await buildDeb(
    context.directory,
    { Package: 'sample', Version: '1:2.0-1', Source: 'sample-src (2.0)' },
    async (root) => {
      await mkdir(join(root, 'bin'), { recursive: true })
      await mkdir(join(root, 'usr/bin'), { recursive: true })
      await mkdir(join(root, 'etc'))
      await writeFile(join(root, 'bin/tool'), '#!/bin/sh\n', { mode: 0o755 })
      await link(join(root, 'bin/tool'), join(root, 'bin/tool-2'))
      await symlink('tool', join(root, 'usr/bin/alias'))
      await writeFile(join(root, 'etc/sample.conf'), 'on\n')
    },
    { conffiles: '/etc/sample.conf\n' },
  )
  const { control, entries, mtime } = await read(file)
  expect(control.get('version')).toBe('1:2.0-1')
  expect(mtime).toBe(1_700_000_000)
  const owned = { uid: 0, gid: 0 }
  const digest = digestOf('#!/bin/sh\n')
  expect(entries).toEqual([
    { path: '/etc', type: 'dir', mode: 0o755, ...owned, size: 0 },
    {
      path: '/etc/sample.conf',
      type: 'file',
      mode: 0o644,
      ...owned,
      size: 3,
      digest: digestOf('on\n'),
      conffile: true,
    },
    { path: '/usr', type: 'dir', mode: 0o755, ...owned, size: 0 },
    { path: '/usr/bin', type: 'dir', mode: 0o755, ...owned, size: 0 },
    { path: '/usr/bin/alias', type: 'symlink', mode: 0o777, ...owned, size: 0, target: 'tool' },
    { path: '/usr/bin/tool', type: 'file', mode: 0o755, ...owned, size: 10, digest },
    { path: '/usr/bin/tool-2', type: 'hardlink', mode: 0o755, ...owned, size: 0, target: '/usr/bin/tool' },
  ])
  expect((await context.store.readVerified(digest)).toString()).toBe('#!/bin/sh\n')
})

test.each([
  ['a name that climbs out', [{ name: './../etc/passwd', body: 'x' }]],
  ['an absolute name', [{ name: '/etc/passwd', body: 'x' }]],
  [
    'a name below a symlink',
    [
      { name: './a', type: '2' as const, target: '/etc' },
      { name: './a/passwd', body: 'x' },
    ],
  ],
  [
    'a name below a file',
    [
      { name: './a', body: 'x' },
      { name: './a/b', body: 'x' },
    ],
  ],
  [
    'one name twice',
    [
      { name: './a', body: 'x' },
      { name: './a', body: 'y' },
    ],
  ],
  [
    'two names of one file in the merged root',
    [
      { name: './bin/a', body: 'x' },
      { name: './usr/bin/a', body: 'y' },
    ],
  ],
  ['a hard link out of the archive', [{ name: './a', type: '1' as const, target: '/etc/shadow' }]],
  ['a hard link to a file that is not there', [{ name: './a', type: '1' as const, target: './b' }]],
])('%s is refused, and nothing of it stays', async (_what, members) => {
  const file = await debOfTar(context.directory, tarOf(members))
  await expect(read(file)).rejects.toMatchObject({ code: 'ARCHIVE_UNSAFE', where: 'the package' })
  expect(await context.store.has(digestOf('y'))).toBe(false)
})

test('what is no package is refused', async () => {
  const file = join(context.directory, 'no.deb')
  await writeFile(file, 'this is no archive')
  await expect(read(file)).rejects.toMatchObject({ code: 'ARCHIVE_UNSAFE' })
})
