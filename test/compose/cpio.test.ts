import { readFileSync } from 'node:fs'
import { lstat, mkdtemp, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type CpioMember, writeCpio } from '../../src/compose/cpio.ts'
import { readCpio } from '../../src/compose/cpio-reader.ts'
import { run } from '../../src/config/command.ts'

const golden = new URL('./golden/small.cpio', import.meta.url)
const root = { uid: 0, gid: 0 }
const members: CpioMember[] = [
  { ...root, path: '/bin/tool', type: 'file', mode: 0o4755, content: Buffer.from('#!/bin/sh\n') },
  { ...root, path: '/bin', type: 'dir', mode: 0o755 },
  { ...root, path: '/bin/also', type: 'hardlink', mode: 0, target: '/bin/tool' },
  { ...root, path: '/bin/zlast', type: 'hardlink', mode: 0, target: '/bin/tool' },
  { ...root, path: '/bin/link', type: 'symlink', mode: 0o777, target: '../etc/odd\nname' },
  { ...root, path: '/etc', type: 'dir', mode: 0o755 },
  { uid: 33, gid: 44, path: '/etc/odd\nname', type: 'file', mode: 0o640, content: Buffer.from('abcde') },
  { ...root, path: '/etc/empty', type: 'file', mode: 0o644 },
  { ...root, path: '/dev', type: 'dir', mode: 0o755 },
  { ...root, path: '/dev/null', type: 'char', mode: 0o666, device: [1, 3] },
  { ...root, path: '/pipe', type: 'fifo', mode: 0o600 },
]
let directory: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootloom-cpio-'))
})
afterAll(() => rm(directory, { recursive: true, force: true }))

test('an archive has exactly these bytes, in whatever order its members come', () => {
  const archive = Buffer.concat(writeCpio(members, 1_700_000_000))
  expect(Buffer.concat(writeCpio([...members].reverse(), 1_700_000_000)).equals(archive)).toBe(true)
  expect(archive.equals(readFileSync(golden))).toBe(true)
  expect(archive.length % 4).toBe(0)
})

// Owners and devices can be made by root alone.
test.runIf(process.getuid?.() === 0)(
  'GNU cpio unpacks it to what was put in: modes, owners, links, devices, odd names',
  async () => {
    const archive = join(directory, 'small.cpio')
    await writeFile(archive, Buffer.concat(writeCpio(members, 1_700_000_000)))
    await run('cpio', ['-idm', '--no-absolute-filenames', '-F', archive], { cwd: directory })
    const at = (path: string) => join(directory, path)
    const tool = await lstat(at('bin/tool'))
    expect(tool.mode & 0o7777).toBe(0o4755)
    expect(tool.nlink).toBe(3)
    expect((await lstat(at('bin/also'))).ino).toBe(tool.ino)
    expect(await readFile(at('bin/zlast'), 'utf8')).toBe('#!/bin/sh\n')
    expect(await readlink(at('bin/link'))).toBe('../etc/odd\nname')
    const odd = await lstat(at('etc/odd\nname'))
    expect([odd.uid, odd.gid, odd.mode & 0o7777, odd.mtimeMs]).toEqual([33, 44, 0o640, 1_700_000_000_000])
    expect((await lstat(at('etc/empty'))).size).toBe(0)
    const device = await lstat(at('dev/null'))
    expect([device.isCharacterDevice(), device.rdev]).toEqual([true, (1 << 8) | 3])
    expect((await lstat(at('pipe'))).isFIFO()).toBe(true)
  },
)

test('our reader finds what our writer wrote', () => {
  const records = readCpio(Buffer.concat(writeCpio(members, 1_700_000_000)))
  expect(records.map(({ path }) => path)).toEqual(members.map(({ path }) => path.slice(1)).sort())
  expect(records.find(({ path }) => path === 'etc/odd\nname')?.content.toString()).toBe('abcde')
})

test('the reader never follows a length out of the archive', () => {
  const archive = Buffer.concat(writeCpio(members, 0))
  for (const cut of [0, 5, 109, 113, archive.length - 60]) {
    expect(() => readCpio(archive.subarray(0, cut))).toThrow(expect.objectContaining({ code: 'ARCHIVE_BROKEN' }))
  }
  const lying = Buffer.from(archive)
  lying.write('FFFFFFFF', 6 + 6 * 8, 'latin1')
  expect(() => readCpio(lying)).toThrow(expect.objectContaining({ code: 'ARCHIVE_BROKEN' }))
})

test('what newc cannot hold is refused by name', () => {
  const file = { ...root, type: 'file', mode: 0o644 } as const
  const unfit = expect.objectContaining({ code: 'ARCHIVE_UNFIT' })
  expect(() => writeCpio([{ ...file, path: `/${'x'.repeat(5000)}` }], 0)).toThrow(unfit)
  expect(() => writeCpio([{ ...file, path: '/a\0b' }], 0)).toThrow(unfit)
  expect(() => writeCpio([{ ...file, path: '/a', type: 'hardlink', target: '/not-here' }], 0)).toThrow(unfit)
  expect(() => writeCpio([{ ...file, path: '/a', type: 'symlink', target: '' }], 0)).toThrow(unfit)
})
