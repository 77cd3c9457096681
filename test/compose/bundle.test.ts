import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bootArguments } from '../../src/compose/boot-arguments.ts'
import { compose } from '../../src/compose/bundle.ts'
import { readCpio } from '../../src/compose/cpio-reader.ts'
import { selectEverything } from '../../src/compose/full-stack.ts'
import { initramfsParts } from '../../src/compose/initramfs.ts'
import { renderOverlay } from '../../src/compose/overlay.ts'
import { silent } from '../../src/config/log.ts'
import { getBundle, listBundles } from '../../src/state/bundles.ts'
import { openState, type State } from '../../src/state/redis.ts'
import { digestOf } from '../../src/store/digest.ts'
import { Store } from '../../src/store/store.ts'
import { blueprintOf, componentOf, selectionOf, stackOf, type Tree } from './stack.ts'

const directories: string[] = []
const states: State[] = []

/** A server's store and state, fresh. */
async function server() {
  const directory = await mkdtemp(join(tmpdir(), 'bootloom-compose-'))
  directories.push(directory)
  const state = await openState({ directory }, silent)
  states.push(state)
  return { store: await Store.open(join(directory, 'store')), state, log: silent }
}

type Server = Awaited<ReturnType<typeof server>>
let here: Server

beforeAll(async () => {
  here = await server()
})
afterAll(async () => {
  for (const state of states) await state.close()
  for (const directory of directories) await rm(directory, { recursive: true, force: true })
})

const library: Tree = { '/usr': null, '/usr/lib': null, '/usr/lib/libbig.so': 'x'.repeat(100_000) }
const program: Tree = { '/usr/bin/serve': 'small', '/etc/passwd': 'root:x:0:0::/:/bin/sh\n' }

async function weave(at: Server, site: Tree, more: Partial<Parameters<typeof compose>[0]> = {}, lib: Tree = library) {
  const { store } = at
  const kernel = await componentOf(store, 'kernel', '6.1.0-test', '6.1', {
    '/boot/vmlinuz-6.1.0-test': 'kernel',
    '/lib/modules/6.1.0-test/kernel/net.ko': 'driver',
  })
  const busybox = await componentOf(store, 'deb', 'busybox-static', '1', { '/bin/busybox': 'busybox' })
  const components = [
    await componentOf(store, 'deb', 'serve', '1', program),
    await componentOf(store, 'deb', 'library', '1', lib, { '/usr/lib': 0o711 }),
    await componentOf(store, 'configuration', 'configuration', '1', { '/etc/serve.conf': 'port 80' }),
    await componentOf(store, 'tree', 'site', '1', site),
  ]
  const request = {
    blueprint: blueprintOf(),
    blueprintDigest: digestOf('blueprint'),
    stack: stackOf(components, kernel, busybox),
    stackDigest: digestOf('stack'),
    selection: await selectionOf(store, components),
    selectionDigest: digestOf('selection'),
    modules: [{ path: '/lib/modules/6.1.0-test/kernel/net.ko', digest: digestOf('driver'), size: 6 }],
    level: 'fast',
    zstdLevel: 3,
    context: at,
    ...more,
  } as const
  return compose(request, () => {})
}

test('the same inputs make the same bundle on two servers', async () => {
  const first = await weave(here, { '/srv/index.html': 'one' })
  const second = await weave(await server(), { '/srv/index.html': 'one' })
  expect(second.digest).toBe(first.digest)
  expect(first.config.segments.map(({ name }) => name)).toEqual([
    'base',
    'drivers',
    'library',
    'serve',
    'configuration',
    'application',
    'site',
  ])
})

test('one changed file weaves its segment alone, and nothing changed weaves none', async () => {
  const first = await weave(here, { '/srv/index.html': 'one' })
  const changed = await weave(here, { '/srv/index.html': 'two' })
  expect(changed.woven).toEqual(['site'])
  expect(changed.reused).toBe(6)
  expect(changed.digest).not.toBe(first.digest)
  const again = await weave(here, { '/srv/index.html': 'two' })
  expect([again.woven, again.digest]).toEqual([[], changed.digest])
})

test('a segment whose blob is gone is woven again', async () => {
  const first = await weave(here, { '/srv/index.html': 'gone' })
  await rm(here.store.path(first.config.segments.at(-1)!.digest))
  expect((await weave(here, { '/srv/index.html': 'gone' })).woven).toEqual(['site'])
  expect(await here.store.has(first.config.segments.at(-1)!.digest)).toBe(true)
})

test('every segment is one zstd frame with its content size and a checksum, padded to 4 bytes', async () => {
  const { config } = await weave(here, { '/srv/index.html': 'one' })
  for (const segment of config.segments) {
    const frame = await here.store.read(segment.digest)
    expect(frame.length % 4).toBe(0)
    expect(frame.readUInt32LE(0)).toBe(0xfd2fb528)
    const descriptor = frame[4]!
    expect(descriptor & 0b100, 'checksum flag').not.toBe(0)
    // RFC 8878, 3.1.1.1: a content size of 1, 2, 4 or 8 bytes, absent only without both flags.
    const single = (descriptor >> 5) & 1
    const sizeFlag = descriptor >> 6
    expect(single + sizeFlag, 'content size present').toBeGreaterThan(0)
    const at = single ? 5 : 6
    const size = [frame[at]!, frame.readUInt16LE(at) + 256, frame.readUInt32LE(at)][sizeFlag]
    expect(size).toBe(segment.raw)
    expect(zstdDecompressSync(frame).length).toBe(segment.raw)
  }
})

test('a segment brings the parents of its files, with the modes that another component gives them', async () => {
  const { config } = await weave(here, { '/srv/a/b/index.html': 'one', '/usr/lib/extra': 'e' })
  const site = readCpio(zstdDecompressSync(await here.store.read(config.segments.at(-1)!.digest)))
  expect(site.map(({ path, mode }) => `${path} ${mode.toString(8)}`)).toEqual([
    'srv 40755',
    'srv/a 40755',
    'srv/a/b 40755',
    'srv/a/b/index.html 100644',
    'usr 40755',
    'usr/lib 40711',
    'usr/lib/extra 100644',
  ])
})

test('of a path in two components the later one is kept, and counted once', async () => {
  const one = await weave(here, { '/srv/index.html': 'one' })
  const both = await weave(here, { '/srv/index.html': 'one', '/etc/serve.conf': 'port 8080' })
  expect(both.config.fileCount).toBe(one.config.fileCount)
  expect(both.config.segments.map(({ name }) => name)).not.toContain('configuration')
})

test('a file below what another component has as a link is refused', async () => {
  const conflict = expect.objectContaining({ code: 'SELECTION_CONFLICT' })
  await expect(weave(here, { '/usr/lib': { to: '../lib' } })).rejects.toThrow(conflict)
  await expect(weave(here, { '/init': 'mine' })).rejects.toThrow(conflict)
  await expect(weave(here, { '/.bootloom/end': 'mine' })).rejects.toThrow(conflict)
})

test('the end marker counts every file that the node will have', async () => {
  const { digest, config, manifest } = await weave(here, { '/srv/index.html': 'one' })
  const { parts, size } = initramfsParts(manifest)
  const bytes = Buffer.concat(await Promise.all(parts.map(({ descriptor }) => here.store.read(descriptor.digest))))
  expect(bytes.length).toBe(size)
  expect(parts.every(({ offset }) => offset % 4 === 0)).toBe(true)
  const request = {
    manifestDigest: digest,
    config,
    node: { mac: '52:54:00:aa:00:01', hostname: 'shop-1' },
    server: 'http://10.0.0.1:8080',
    bootId: 'b1',
    files: [{ path: '/etc/shop/key', content: 'secret', mode: 0o600 }],
  }
  const overlay = renderOverlay(request)
  expect(renderOverlay(request).equals(overlay)).toBe(true)
  expect(overlay.length % 4).toBe(0)
  const end = overlay.lastIndexOf(Buffer.from([0x28, 0xb5, 0x2f, 0xfd]))
  const members: Buffer[] = parts.map(({ offset, descriptor }) => bytes.subarray(offset, offset + descriptor.size))
  members.push(overlay.subarray(0, end), overlay.subarray(end))
  const records = members.flatMap((member) => readCpio(zstdDecompressSync(member)))
  const files = new Set(records.filter(({ mode }) => (mode & 0o170000) !== 0o040000).map(({ path }) => path))
  const counted = [...files].filter((path) => !path.startsWith('dev/')).length
  const marker = records.at(-1)!
  expect(marker.path).toBe('.bootloom/end')
  expect(marker.content.toString()).toBe(`bundle=${digest}\nfiles=${counted}\n`)
  expect(records.find(({ path }) => path === '.bootloom/node/node.env')?.content.toString()).toBe(
    'hostname=shop-1\nserver=http://10.0.0.1:8080\nmac=52:54:00:aa:00:01\nboot=b1\n',
  )
})

test('an overlay refuses paths that lead elsewhere and values of more than a line', async () => {
  const { digest, config } = await weave(here, { '/srv/index.html': 'one' })
  const base = { manifestDigest: digest, config, server: 'http://h', bootId: 'b1' }
  const unfit = expect.objectContaining({ code: 'VALUE_UNFIT' })
  const node = { mac: '52:54:00:aa:00:01' }
  for (const path of ['/etc/../../x', 'etc/x', '/', '/a/', '/a\0b']) {
    expect(() => renderOverlay({ ...base, node, files: [{ path, content: '' }] })).toThrow(unfit)
  }
  expect(() => renderOverlay({ ...base, node: { ...node, hostname: 'a\nserver=evil' } })).toThrow(unfit)
  expect(() => bootArguments({ server: 'http://h init=/x', mac: '', boot: '', bundle: digest, deadline: 600 })).toThrow(
    unfit,
  )
})

test('a bundle is listed, and named in the store where OCI tools look', async () => {
  const { digest, summary } = await weave(here, { '/srv/index.html': 'listed' })
  expect(await getBundle(here.state.redis, digest)).toEqual(summary)
  expect((await listBundles(here.state.redis)).map((bundle) => bundle.digest)).toContain(digest)
  const tag = (await here.store.tags()).find(
    ({ annotations }) => annotations?.['org.opencontainers.image.ref.name'] === 'test.fast',
  )
  expect(tag?.digest).toBe(digest)
})

test('the full stack is woven as one more selection and not listed', async () => {
  const { store } = here
  const components = [await componentOf(store, 'deb', 'library', '1', library)]
  const stack = stackOf(components, components[0]!, components[0]!)
  const selection = await selectEverything(stack, digestOf('stack'), 'test', store)
  expect(selection.parts[0]!.files.map(({ path }) => path)).toEqual(['/usr', '/usr/lib', '/usr/lib/libbig.so'])
  const full = await weave(here, {}, { selection, unlisted: true })
  expect(await getBundle(here.state.redis, full.digest)).toBeUndefined()
})

test('an aborted composition leaves no bundle behind, and what was woven is taken up again', async () => {
  const abort = new AbortController()
  const { store, state } = await server()
  const request = async (at: Server, signal?: AbortSignal) => {
    const kernel = await componentOf(at.store, 'kernel', 'k', '1', { '/boot/vmlinuz-k': 'kernel' })
    const busybox = await componentOf(at.store, 'deb', 'b', '1', { '/bin/busybox': 'busybox' })
    const components = [await componentOf(at.store, 'deb', 'library', '1', library)]
    return compose(
      {
        blueprint: blueprintOf(),
        blueprintDigest: digestOf('b'),
        stack: stackOf(components, kernel, busybox),
        stackDigest: digestOf('s'),
        selection: await selectionOf(at.store, components),
        selectionDigest: digestOf('selection'),
        modules: [],
        level: 'fast',
        zstdLevel: 3,
        context: at,
      },
      ({ detail }) => detail === 'library' && abort.abort(),
      signal,
    )
  }
  await expect(request({ store, state, log: silent }, abort.signal)).rejects.toThrow()
  expect(await listBundles(state.redis)).toEqual([])
  const again = await request({ store, state, log: silent })
  expect(again.reused).toBeGreaterThanOrEqual(2)
})
