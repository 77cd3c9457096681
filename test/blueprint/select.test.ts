import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { layersOf } from '../../src/blueprint/layers.ts'
import { whatIsLeftOut } from '../../src/blueprint/left-out.ts'
import { parseBlueprint } from '../../src/blueprint/parse.ts'
import { loadRules, parseRules } from '../../src/blueprint/rules.ts'
import { select } from '../../src/blueprint/select.ts'
import type { Selection } from '../../src/blueprint/selection.ts'
import type { Component, ComponentKind, Entry } from '../../src/repository/component.ts'
import { digestOf } from '../../src/store/digest.ts'
import { Store } from '../../src/store/store.ts'

let directory: string
let store: Store
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootloom-select-'))
  store = await Store.open(directory)
})
afterAll(() => rm(directory, { recursive: true, force: true }))

const dir = (path: string, mode = 0o755, uid = 0): Entry => ({ path, type: 'dir', mode, uid, gid: uid, size: 0 })
const link = (path: string, target: string): Entry => ({ ...dir(path, 0o777), type: 'symlink', target })
const file = async (path: string, content: string | Buffer, mode = 0o644): Promise<Entry> => {
  const bytes = Buffer.from(content)
  return { ...dir(path, mode), type: 'file', size: bytes.length, digest: await store.write(bytes) }
}
const component = async (
  kind: ComponentKind,
  name: string,
  entries: (Entry | Promise<Entry>)[],
): Promise<Component> => ({
  kind,
  name,
  version: '1',
  architecture: 'amd64',
  mtime: 7,
  entries: await Promise.all(entries),
})

interface Wish {
  readonly blueprint?: string
  readonly touched?: readonly string[]
  readonly created?: readonly string[]
  readonly rules?: string
  readonly tree?: string
}

async function selectFrom(components: readonly Component[], wish: Wish = {}): Promise<Selection> {
  const text = `name: x\nstack: [ ${wish.tree ?? '{ deb: { packages: [app] } }'} ]\nstart: { command: [/none] }\nprobe: { tcp: 1 }\n`
  const blueprint = parseBlueprint(text + (wish.blueprint ?? ''), '/srv/x.yaml')
  const refs = components.map(({ kind, name, version }) => ({ kind, name, version, digest: digestOf(name) }))
  const paths = [
    ...(wish.touched ?? []).map((path) => ({ path, how: ['open'] as const })),
    ...(wish.created ?? []).map((path) => ({ path, how: ['create'] as const, created: true as const })),
  ]
  const digest = digestOf('stack')
  return select({
    blueprint,
    stackDigest: digest,
    stack: { components: refs, kernel: refs[0]!, busybox: refs[0]!, installation: digest },
    components,
    profile: { blueprint: 'x', stack: digest, methods: ['strace', 'strictatime'], paths },
    profileDigest: digest,
    store,
    rules: parseRules(wish.rules ?? '[]', 'test.yaml'),
  })
}

/** `component:path` with the kind of reason, directories left out. */
const listed = (selection: Selection) =>
  selection.parts.flatMap(({ component: { name }, files }) =>
    files.flatMap(({ path, type, reason }) => (type === 'dir' ? [] : [`${name}:${path} ${reason.kind}`])),
  )

describe('closure', () => {
  it('follows loader, libraries and links of a real program, also where packages say /lib and the root says /usr/lib', async () => {
    const libraries = await component('deb', 'libc6', [
      dir('/lib'),
      dir('/lib/x86_64-linux-gnu'),
      file('/lib/x86_64-linux-gnu/libc.so.6', await readFile('/usr/lib/x86_64-linux-gnu/libc.so.6'), 0o755),
      file('/lib/x86_64-linux-gnu/libm.so.6', await readFile('/usr/lib/x86_64-linux-gnu/libm.so.6')),
      file('/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2', 'loader', 0o755),
      link('/lib64/ld-linux-x86-64.so.2', '/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2'),
    ])
    const app = await component('deb', 'app', [file('/usr/bin/cat', await readFile('/usr/bin/cat'), 0o755)])
    const merged = await component('configuration', 'configuration', [
      dir('/usr'),
      dir('/usr/lib'),
      dir('/usr/lib64'),
      dir('/usr/bin'),
      link('/bin', 'usr/bin'),
      link('/lib', 'usr/lib'),
      link('/lib64', 'usr/lib64'),
    ])
    const selection = await selectFrom([app, libraries, merged], { touched: ['/bin/cat'] })
    expect(listed(selection)).toEqual([
      'app:/usr/bin/cat observed',
      'libc6:/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 closure',
      'libc6:/usr/lib/x86_64-linux-gnu/libc.so.6 closure',
      'libc6:/usr/lib64/ld-linux-x86-64.so.2 closure',
      'configuration:/bin closure',
      'configuration:/lib closure',
      'configuration:/lib64 closure',
    ])
  })

  it('finds the interpreters of scripts, through env too', async () => {
    const app = await component('deb', 'app', [
      file('/usr/bin/one', '#! /usr/bin/sh -e\n', 0o755),
      file('/usr/bin/two', '#!/usr/bin/env -S snake -u\n', 0o755),
      file('/usr/share/read.sh', '#!/usr/bin/other\n', 0o644),
      file('/usr/bin/sh', 'x', 0o755),
      file('/usr/bin/env', 'x', 0o755),
      file('/usr/bin/other', 'x', 0o755),
      link('/usr/bin/snake', 'snake3'),
      file('/usr/bin/snake3', 'x', 0o755),
    ])
    const selection = await selectFrom([app], { touched: ['/usr/bin/one', '/usr/bin/two', '/usr/share/read.sh'] })
    expect(listed(selection).map((line) => line.split(' ')[0])).toEqual([
      'app:/usr/bin/env',
      'app:/usr/bin/one',
      'app:/usr/bin/sh',
      'app:/usr/bin/snake',
      'app:/usr/bin/snake3',
      'app:/usr/bin/two',
      'app:/usr/share/read.sh',
    ])
  })

  it('keeps parent directories with their owner, also those of created files, and ends in a ring of links', async () => {
    const app = await component('deb', 'app', [
      dir('/var'),
      dir('/var/lib'),
      dir('/var/lib/app', 0o750, 42),
      link('/a', '/b'),
      link('/b', '/a'),
    ])
    const selection = await selectFrom([app], { touched: ['/a'], created: ['/var/lib/app/deep/state'] })
    expect(selection.parts[0]?.files.map(({ path, mode, uid }) => [path, mode, uid])).toEqual([
      ['/a', 0o777, 0],
      ['/b', 0o777, 0],
      ['/var', 0o755, 0],
      ['/var/lib', 0o755, 0],
      ['/var/lib/app', 0o750, 42],
    ])
  })

  it('keeps the file that a hard link shares', async () => {
    const shared: Entry = { ...dir('/b'), type: 'hardlink', target: '/a' }
    const app = await component('deb', 'app', [file('/a', 'x'), shared])
    expect(listed(await selectFrom([app], { touched: ['/b'] }))).toEqual(['app:/a closure', 'app:/b observed'])
  })
})

describe('select', () => {
  it('takes a path once, from the last component that has it', async () => {
    const first = await component('deb', 'first', [file('/etc/a', 'packaged'), file('/etc/b', 'b')])
    const last = await component('configuration', 'configuration', [file('/etc/a', 'configured')])
    expect(listed(await selectFrom([first, last], { touched: ['/etc/a', '/etc/b', '/etc/gone'] }))).toEqual([
      'first:/etc/b observed',
      'configuration:/etc/a observed',
    ])
  })

  it('keeps trees whole, adds files, keeps and drops by globs', async () => {
    const app = await component('deb', 'app', [file('/opt/x/1', '1'), file('/opt/x/2', '2'), file('/opt/y', 'y')])
    const site = await component('tree', 'site', [dir('/srv'), file('/srv/a', 'a'), file('/srv/b', 'b')])
    const yaml = `keep: ["/opt/x/*"]
drop: [/opt/x/2]
files: [ { path: /etc/motd, content: hello, mode: "0600", owner: "5:6" } ]
`
    const selection = await selectFrom([app, site], { blueprint: yaml })
    expect(listed(selection)).toEqual([
      'app:/opt/x/1 keep',
      'site:/srv/a tree',
      'site:/srv/b tree',
      'files:/etc/motd file',
    ])
    const motd = selection.parts.at(-1)!.files.at(-1)!
    expect(motd).toMatchObject({ mode: 0o600, uid: 5, gid: 6 })
    expect((await store.read(motd.digest!)).toString()).toBe('hello')
    expect(whatIsLeftOut(selection, [app, site])).toEqual([
      { kind: 'deb', name: 'app', version: '1', files: 2, bytes: 2, paths: ['/opt/x/2', '/opt/y'] },
    ])
    expect(layersOf([app, site]).size).toEqual({ files: 5, bytes: 5 })
  })

  it('keeps of a tree to be trimmed only what was observed', async () => {
    const site = await component('tree', 'site', [dir('/srv'), file('/srv/a', 'a'), file('/srv/b', 'b')])
    const tree = '{ tree: { path: ., at: /srv, trim: true } }'
    expect(listed(await selectFrom([site], { tree, touched: ['/srv/b'] }))).toEqual(['site:/srv/b observed'])
  })

  it('applies rules until none adds anything, and says which', async () => {
    const app = await component('deb', 'app', [file('/a', 'a'), file('/b', 'b'), file('/c/d', 'd'), file('/e', 'e')])
    const rules = `
- { name: second, why: because, when: ["/b*"], add: ["/c/**"] }
- { name: first, why: because, when: [/a], add: [/b, /not-there] }
- { name: never, why: because, when: [/zzz], add: [/e] }
`
    const [part] = (await selectFrom([app], { touched: ['/a'], rules })).parts
    expect(part?.files.map(({ path, reason }) => `${path} ${reason.by}`)).toEqual([
      '/a strace ∪ strictatime',
      '/b first',
      '/c/d second',
    ])
  })

  it('gives the same selection whatever order the profile is in', async () => {
    const app = await component('deb', 'app', [file('/a', 'a'), file('/b', 'b'), link('/l', '/b')])
    const one = await selectFrom([app], { touched: ['/a', '/b', '/l'] })
    const other = await selectFrom([app], { touched: ['/l', '/b', '/a'] })
    expect(one).toEqual(other)
  })
})

describe('the rules that Bootloom ships', () => {
  it('all fit the format and have names of their own', async () => {
    const names = (await loadRules()).map(({ name }) => name)
    expect(names).toContain('accounts')
    expect(new Set(names).size).toBe(names.length)
  })

  it('are refused with their file when they do not fit', () => {
    expect(() => parseRules('- { name: x, add: [etc] }', 'bad.yaml')).toThrow(
      expect.objectContaining({ code: 'RULE_INVALID', where: 'bad.yaml' }),
    )
  })
})
