import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type BundleManifest, mediaTypes } from '../../src/compose/bundle-format.ts'
import { type CpioMember, writeCpio } from '../../src/compose/cpio.ts'
import { weaveFrame } from '../../src/compose/frame.ts'
import { unpackBundle } from '../../src/compose/unpack.ts'
import { run } from '../../src/config/command.ts'
import { Store } from '../../src/store/store.ts'

let directory: string
let store: Store
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootloom-unpack-'))
  store = await Store.open(join(directory, 'store'))
})
afterAll(() => rm(directory, { recursive: true, force: true }))

const owner = { uid: 0, gid: 0 }
const dir = (path: string, mode = 0o755): CpioMember => ({ ...owner, path, type: 'dir', mode })
const file = (path: string, content: string, mode = 0o644): CpioMember => ({
  ...{ ...owner, path, type: 'file', mode },
  content: Buffer.from(content),
})
const segments: readonly (readonly CpioMember[])[] = [
  [
    ...[dir('/usr'), dir('/usr/bin'), dir('/etc', 0o700), dir('/tmp', 0o1777), dir('/dev')],
    { ...owner, path: '/dev/console', type: 'char', mode: 0o600, device: [5, 1] },
    file('/usr/bin/tool', 'one', 0o4755),
    { ...owner, path: '/usr/bin/also', type: 'hardlink', mode: 0, target: '/usr/bin/tool' },
    { ...owner, path: '/bin', type: 'symlink', mode: 0o777, target: '/usr/bin' },
    file('/etc/first', 'of the first segment'),
    file('/etc/turns', 'into a link'),
    file('/etc/empty', ''),
  ],
  [
    dir('/etc'),
    { ...file('/etc/first', 'of the second'), uid: 33, gid: 44, mode: 0o640 },
    { ...owner, path: '/etc/turns', type: 'symlink', mode: 0o777, target: 'first' },
  ],
]

async function listing(root: string): Promise<string[]> {
  const lines: string[] = []
  // readdir() would go on through links to directories.
  const names = (await run('find', ['.', '-mindepth', '1'], { cwd: root })).split('\n').sort()
  for (const name of names) {
    const facts = await lstat(join(root, name))
    const { mode, uid, gid, nlink, mtimeMs } = facts
    const content = facts.isFile()
      ? await readFile(join(root, name), 'utf8')
      : facts.isSymbolicLink()
        ? await readlink(join(root, name))
        : ''
    // A directory's time moves with what is put into it, and cpio leaves a link's alone.
    lines.push([name, mode.toString(8), uid, gid, ...(facts.isFile() ? [nlink, mtimeMs] : []), content].join(' '))
  }
  return lines
}

test.runIf(process.getuid?.() === 0)(
  'a bundle unpacks to what GNU cpio makes of its segments, one by one',
  async () => {
    const theirs = join(directory, 'theirs')
    await mkdir(theirs)
    const layers = []
    for (const [index, members] of segments.entries()) {
      const archive = Buffer.concat(writeCpio(members, 1_700_000_000 + index))
      await writeFile(join(directory, 'archive'), archive)
      await run('cpio', ['-idmu', '--no-absolute-filenames', '-F', '../archive'], { cwd: theirs })
      const frame = await weaveFrame(archive, 3)
      layers.push({ mediaType: mediaTypes.segment, digest: await store.write(frame), size: frame.length })
    }
    await rm(join(theirs, 'dev'), { recursive: true })
    const ours = join(directory, 'ours')
    await mkdir(ours)
    const manifest = { layers } as unknown as BundleManifest
    await unpackBundle(manifest, store, ours)
    expect(await listing(ours)).toEqual(await listing(theirs))

    // What stands already makes way, as it does for a second initrd.
    await unpackBundle(manifest, store, ours)
    expect(await listing(ours)).toEqual(await listing(theirs))
  },
)

test('a damaged segment is not unpacked', async () => {
  const frame = await weaveFrame(Buffer.concat(writeCpio([file('/a', 'x')], 0)), 3)
  const digest = await store.write(frame)
  await writeFile(store.path(digest), Buffer.alloc(frame.length))
  const manifest = { layers: [{ mediaType: mediaTypes.segment, digest, size: frame.length }] }
  const target = join(directory, 'damaged')
  await mkdir(target)
  await expect(unpackBundle(manifest as unknown as BundleManifest, store, target)).rejects.toMatchObject({
    code: 'BLOB_CORRUPT',
  })
  expect(await readdir(target)).toEqual([])
})
