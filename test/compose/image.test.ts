import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { compose } from '../../src/compose/bundle.ts'
import { chooseRoot, type RootFormat } from '../../src/compose/root.ts'
import { unpackBundle } from '../../src/compose/unpack.ts'
import { run } from '../../src/config/command.ts'
import { silent } from '../../src/config/log.ts'
import { openState, type State } from '../../src/state/redis.ts'
import { digestOf } from '../../src/store/digest.ts'
import { Store } from '../../src/store/store.ts'
import { blueprintOf, componentOf, selectionOf, stackOf, type Tree } from './stack.ts'

let directory: string
const states: State[] = []

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootloom-image-'))
})
afterAll(async () => {
  for (const state of states) await state.close()
  await rm(directory, { recursive: true, force: true })
})

async function server(name: string) {
  const own = join(directory, name)
  await mkdir(own)
  const state = await openState({ directory: own }, silent)
  states.push(state)
  return { store: await Store.open(join(own, 'store')), state, log: silent }
}

const long = `/usr/share/${'d'.repeat(90)}/${'n'.repeat(120)}`
const program: Tree = {
  '/usr': null,
  '/usr/bin': null,
  '/usr/bin/serve': 'x'.repeat(300_000),
  '/usr/bin/also': { to: 'serve' },
  '/usr/share': null,
  [`/usr/share/${'d'.repeat(90)}`]: null,
  [long]: 'far down',
  '/usr/share/to-there': { to: long },
  "/usr/share/odd\nname '\\ ü": '',
  '/etc': null,
  '/etc/passwd': 'root:x:0:0::/:/bin/sh\n',
}

async function weave(at: Awaited<ReturnType<typeof server>>, format: RootFormat, site: string, more: Tree = {}) {
  const { store } = at
  const kernel = await componentOf(store, 'kernel', '6.1.0-test', '6.1', { '/boot/vmlinuz-6.1.0-test': 'kernel' })
  const busybox = await componentOf(store, 'deb', 'busybox-static', '1', { '/bin/busybox': 'busybox' })
  const modes = { '/usr/bin/serve': 0o4755, '/usr/share': 0o711 }
  const components = [
    await componentOf(store, 'deb', 'serve', '1', { ...program, ...more }, modes),
    await componentOf(store, 'configuration', 'configuration', '1', { '/etc/serve.conf': 'port 80' }),
    await componentOf(store, 'configuration', 'files', '1', { '/etc/own.conf': 'of the blueprint' }),
    await componentOf(store, 'tree', 'site', '1', { '/srv/index.html': site }),
  ]
  const request = {
    blueprint: blueprintOf(),
    blueprintDigest: digestOf('blueprint'),
    stack: stackOf(components, kernel, busybox),
    stackDigest: digestOf('stack'),
    selection: await selectionOf(store, components),
    selectionDigest: digestOf('selection'),
    modules: [],
    root: { format, why: 'the test says so' },
    level: 'fast',
    zstdLevel: 3,
    context: at,
  } as const
  return compose(request, () => {})
}

async function listing(root: string): Promise<string[]> {
  const told = await run('find', ['.', '-mindepth', '1', '-printf', '%y %m %U %G %n %s %T@ %l %p\\0'], { cwd: root })
  // A directory's size and time are the file system's own affair, and a link's time is left alone by cpio.
  const lines = told.split('\0').map((line) => line.replace(/^(d \S+ \S+ \S+) \S+ \S+ \S+/, '$1'))
  return lines
    .map((line) => line.replace(/^(l .*?) \S+\.\d+ /, '$1 '))
    .filter((line) => !line.includes('.bootloom'))
    .sort()
}

test.runIf(process.getuid?.() === 0)('an image holds what the files would have been, name by name', async () => {
  const here = await server('same')
  const roots: string[][] = []
  for (const format of ['files', 'squashfs'] as const) {
    const { manifest } = await weave(here, format, 'one')
    const root = join(directory, format)
    await mkdir(root)
    await unpackBundle(manifest, here.store, root)
    roots.push(await listing(root))
  }
  expect(roots[0]!.some((line) => line.includes('nnnn'))).toBe(true)
  expect(roots[1]).toEqual(roots[0])
})

test('the same packages give the same image on two servers, and it counts as one file that arrives', async () => {
  const [here, there] = [await server('one'), await server('two')]
  const first = await weave(here, 'squashfs', 'one')
  expect((await weave(there, 'squashfs', 'one')).digest).toBe(first.digest)
  const plain = await weave(here, 'files', 'one')
  // The packages' and the configuration's seven files, against one.
  expect(plain.config.fileCount - first.config.fileCount).toBe(7 - 1)
  expect(first.summary.files).toBe(plain.summary.files)
  expect(first.config.segments.map(({ name }) => name)).toEqual([
    ...['base', 'drivers', 'image', 'files', 'application', 'site'],
  ])
})

test('a flipped bit in an image is noticed where it is unpacked, as in any segment', async () => {
  const here = await server('flipped')
  const { config } = await weave(here, 'squashfs', 'one')
  const frame = await here.store.read(config.segments.find(({ kind }) => kind === 'image')!.digest)
  expect(zstdDecompressSync(frame).length).toBeGreaterThan(4096)
  frame[frame.length >> 1]! ^= 0x10
  expect(() => zstdDecompressSync(frame)).toThrow()
})

test('an edited tree weaves its segment alone, and a changed package all of the image', async () => {
  const here = await server('changes')
  await weave(here, 'squashfs', 'one')
  expect((await weave(here, 'squashfs', 'two')).woven).toEqual(['site'])
  expect((await weave(here, 'squashfs', 'two', { '/usr/bin/new': 'x' })).woven).toEqual(['image'])
})

test('auto takes an image where much is hardly read, by what was watched or else by size', async () => {
  const { store } = await server('auto')
  const sized = async (megabytes: number, root = 'auto', has = true, read?: string) => {
    const component = await componentOf(store, 'deb', 'large', '1', {
      '/usr/lib/large.so': Buffer.alloc(megabytes * 1e6),
    })
    const selection = await selectionOf(store, [component])
    const { digest } = selection.parts[0]!.files[0]!
    const pages = read === undefined ? undefined : { '/usr/lib/large.so': { digest: digest!, pages: read } }
    const choice = await chooseRoot(blueprintOf({ root }), { selection, pages, kernelHas: async () => has })
    return [choice.format, choice.why]
  }
  expect(await sized(30)).toEqual(['files', '30 MB of files, an image pays from 40 MB on'])
  expect(await sized(50)).toEqual(['squashfs', '50 MB of files, an image pays from 40 MB on'])
  expect(await sized(30, 'auto', true, '0-9')).toEqual([
    'squashfs',
    '30 MB of 30 MB hardly read, an image saves some 19 MB',
  ])
  expect((await sized(50, 'auto', true, '0-12000'))[0]).toBe('files')
  expect(await sized(50, 'auto', false)).toEqual(['files', 'the kernel knows no squashfs'])
  expect((await sized(1, 'squashfs'))[0]).toBe('squashfs')
})
