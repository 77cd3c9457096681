import { randomBytes } from 'node:crypto'
import { chmod, lstat, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { execa } from 'execa'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { keptPages } from '../../src/blueprint/kept-pages.ts'
import { largeFiles } from '../../src/blueprint/large.ts'
import { layersOf } from '../../src/blueprint/layers.ts'
import { type ObservationRecord, type ObserveInput, observe } from '../../src/blueprint/observe/observe.ts'
import { bytesOfPages, countPages, pageSize, pagesWithin, unitePages, uniteRead } from '../../src/blueprint/pages.ts'
import { parseBlueprint } from '../../src/blueprint/parse.ts'
import { type Replayed, replay } from '../../src/blueprint/replay/replay.ts'
import type { Selection } from '../../src/blueprint/selection.ts'
import { pagesDirectory, pagesTree, planPages, withoutPages } from '../../src/compose/pages.ts'
import { silent } from '../../src/config/log.ts'
import type { Component } from '../../src/repository/component.ts'
import { digestOf } from '../../src/store/digest.ts'
import { Store } from '../../src/store/store.ts'
import { componentOf } from '../compose/stack.ts'
import { leftovers, servicesIn, smallRoot } from './small-root.ts'

const path = '/usr/lib/tables.bin'
const content = randomBytes(400 * pageSize + 10)
let root: string
let store: Store
let components: readonly Component[]
beforeAll(async () => {
  root = await smallRoot()
  store = await Store.open(`${root}-store`)
  await mkdir(join(root, 'usr/lib'))
  await writeFile(join(root, path), content)
  const tree = { '/usr': null, '/usr/lib': null, [path]: content }
  const ref = await componentOf(store, 'deb', 'tables', '1.2-3', tree)
  components = [await store.readJson<Component>(ref.digest)]
})
afterEach(async () => expect(await leftovers(root)).toEqual([]))
afterAll(async () => {
  await rm(root, { recursive: true, force: true })
  await rm(`${root}-store`, { recursive: true, force: true })
})

/** Reads pages 7 and 8 as it starts, and 11 of another process for a command of the workload. */
async function given(pages: string) {
  const blueprint = parseBlueprint(
    `name: small
stack: [ { deb: { packages: [tables] } } ]
start: { command: [/bin/sh, -c, "busybox dd if=${path} bs=4096 skip=7 count=2 2>/dev/null | busybox sha256sum >/run/sum; exec httpd -f -p 8098 -h /srv"], environment: { PATH: /usr/bin } }
probe: { http: /, port: 8098 }
workload: [ { command: [/bin/busybox, dd, if=${path}, of=/dev/null, bs=4096, skip=11, count=1] } ]
granularity: { page: ${pages} }
`,
    '/srv/x.yaml',
  )
  const services = await servicesIn(root, blueprint, store)
  const common = { blueprint, services, stackDigest: digestOf('stack'), root, trees: [], store, log: silent }
  return { ...common, large: largeFiles(blueprint, components) } satisfies ObserveInput
}

describe('a file of which little is read', () => {
  let record: ObservationRecord
  let input: Awaited<ReturnType<typeof given>>
  beforeAll(async () => {
    input = await given('["/usr/lib/*.bin"]')
    record = (await observe(input, () => {})).record
  })

  it('is watched page by page, and what commands of the workload read of it does not count', () => {
    expect(record.pages).toEqual({ [path]: { digest: digestOf(content), pages: '7-8' } })
  })

  it('is watched whether it is kept by page or not, where it is large', async () => {
    expect((await given('[]')).large.map((file) => file.path)).toEqual([path])
  })

  const kept = (more: Partial<Parameters<typeof keptPages>[2]> = {}) =>
    keptPages([path], layersOf(components), { ...input, pages: record.pages, ...more })

  it('is kept by page with its first page, and what a replay found lacking', async () => {
    expect(await kept()).toEqual(new Map([[path, '0,7-8']]))
    const widened = [{ path, pages: '9,5000', by: 'replay', at: 0 }]
    expect(await kept({ widened })).toEqual(new Map([[path, '0,7-9']]))
  })

  it('is kept whole where it is another content, or somebody missed it, or nobody asked for pages', async () => {
    const other = { [path]: { digest: digestOf('other'), pages: '7-8' } }
    expect(await kept({ pages: other })).toEqual(new Map())
    expect(await kept({ widened: [{ path, by: 'missed on a node', at: 0 }] })).toEqual(new Map())
    expect(await kept({ blueprint: (await given('[]')).blueprint })).toEqual(new Map())
  })

  it('is kept with all of its code where it has any, but for a library that is named as hardly called', async () => {
    const library = '/usr/lib/library.so'
    const program = await readFile(join(root, 'bin/busybox'))
    const tree = { '/usr': null, '/usr/lib': null, [library]: program }
    const ref = await componentOf(store, 'deb', 'library', '1', tree)
    const layers = layersOf([await store.readJson<Component>(ref.digest)])
    const pages = { [library]: { digest: digestOf(program), pages: '2' } }
    const keptBy = async (granularity: Partial<typeof input.blueprint.granularity>) => {
      const blueprint = { ...input.blueprint, granularity: { page: [], code: [], ...granularity } }
      return (await keptPages([library], layers, { ...input, blueprint, pages })).get(library) ?? 'all'
    }
    const all = Math.ceil(program.length / pageSize)
    expect(countPages(await keptBy({ page: [library] }))).toBeGreaterThan(all / 3)
    expect(await keptBy({ code: [library] })).toBe('0,2')
    expect(await keptBy({ page: [library], code: [library] })).toBe('0,2')
  })

  /** What comes of a bundle that has these pages. */
  async function replayed(pages: string): Promise<Replayed> {
    const entry = components[0]!.entries.find((one) => one.path === path)!
    const reason = { kind: 'observed', by: 'strace' } as const
    const part = {
      component: { ...components[0]!, digest: digestOf('x') },
      mtime: 7,
      files: [{ ...entry, pages, reason }],
    }
    const selection: Selection = {
      ...{ blueprint: 'small', stack: digestOf('stack'), profile: digestOf('profile') },
      parts: [part],
    }
    expect(withoutPages(selection).parts[0]!.files).toEqual([])
    const { entries } = (await planPages(selection, store))!
    const unpack = async (bundle: string) => {
      await execa('cp', ['-a', `${root}/.`, bundle])
      await rm(join(bundle, path))
      for (const { path: place, type, digest, mode } of entries) {
        if (type === 'dir') await mkdir(join(bundle, place), { recursive: true })
        else await writeFile(join(bundle, place), await store.read(digest!))
        await chmod(join(bundle, place), mode)
      }
      expect((await lstat(join(bundle, pagesDirectory))).mode & 0o77).toBe(0)
      expect(dirname(pagesTree)).toBe(pagesDirectory)
    }
    const paged = { tree: pagesTree, pages: pagesDirectory, paths: [path] }
    const again = async () => (await observe(input, () => {})).record
    return replay({ ...input, unpack, paged, components, expected: record, again }, () => {})
  }

  it('holds in a replay with the pages that were read', async () => {
    expect(await replayed('0,7-8')).toMatchObject({ holds: true, lacking: [], differences: [] })
  })

  it('does not hold without one of them, which is named', async () => {
    const { holds, lacking } = await replayed('0,8')
    expect(holds).toBe(false)
    expect(lacking).toMatchObject([{ path, pages: '7', component: 'tables', version: '1.2-3', process: 'busybox' }])
  })
})

describe('pages', () => {
  it('unite to ranges, of one content only', () => {
    expect(unitePages('3-5,9', '-', '6', '0')).toBe('0,3-6,9')
    expect(unitePages()).toBe('-')
    const [one, other] = [digestOf('one'), digestOf('other')]
    const before = { '/a': { digest: one, pages: '1' }, '/b': { digest: one, pages: '1' } }
    const after = { '/a': { digest: one, pages: '2' }, '/b': { digest: other, pages: '2' } }
    expect(uniteRead(before, after)).toEqual({
      '/a': { digest: one, pages: '1-2' },
      '/b': { digest: other, pages: '2' },
    })
  })

  it('end with the file, whose last page may be short', () => {
    expect(pagesWithin('0,2-9,12', 3 * pageSize + 1)).toBe('0,2-3')
    expect(pagesWithin('7', 10)).toBe('-')
    const bytes = Buffer.concat([Buffer.alloc(pageSize, 'a'), Buffer.alloc(pageSize, 'b'), Buffer.from('end')])
    expect(bytesOfPages(bytes, '0,2').toString()).toBe(`${'a'.repeat(pageSize)}end`)
  })
})
