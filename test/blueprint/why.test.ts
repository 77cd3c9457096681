import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { firedRules } from '../../src/blueprint/fired.ts'
import { parseBlueprint } from '../../src/blueprint/parse.ts'
import type { Profile } from '../../src/blueprint/profile.ts'
import { parseRules } from '../../src/blueprint/rules.ts'
import { select } from '../../src/blueprint/select.ts'
import type { Selection } from '../../src/blueprint/selection.ts'
import { type Witness, whyOf } from '../../src/blueprint/why.ts'
import { whyNotOf } from '../../src/blueprint/why-not.ts'
import type { Component, Entry } from '../../src/repository/component.ts'
import { digestOf } from '../../src/store/digest.ts'
import { Store } from '../../src/store/store.ts'

const rules = parseRules(
  `
- { name: plugins, why: it loads them late, when: [/usr/bin/app], add: ["/usr/lib/app/*"], except: [/usr/lib/app/test] }
- { name: other, why: of something else, when: [/usr/bin/other], add: ["/usr/share/other/*"] }
- { name: idle, why: finds nothing here, when: [/usr/bin/app], add: [/usr/bin/app, /not/there] }
`,
  'family.yaml',
)
const blueprint = parseBlueprint(
  `name: x
stack: [ { deb: { packages: [app] } } ]
start: { command: [/usr/bin/app] }
probe: { tcp: 1 }
keep: ["/srv/kept"]
drop: ["/srv/dropped*"]
`,
  '/srv/x.yaml',
)

let directory: string
let store: Store
let components: readonly Component[]
let selection: Selection
let witness: Witness
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootloom-why-'))
  store = await Store.open(directory)
  const dir = (path: string): Entry => ({ path, type: 'dir', mode: 0o755, uid: 0, gid: 0, size: 0 })
  const link = (path: string, target: string): Entry => ({ ...dir(path), type: 'symlink', target })
  const file = async (path: string, content: string | Buffer): Promise<Entry> => {
    const bytes = Buffer.from(content)
    return { ...dir(path), type: 'file', size: bytes.length, digest: await store.write(bytes) }
  }
  const lib = '/usr/lib/x86_64-linux-gnu'
  const entries = await Promise.all([
    file('/usr/bin/app', 'x'),
    file('/usr/lib/app/plugin', await readFile('/bin/cat')),
    file('/usr/lib/app/test', 'x'),
    file('/usr/lib/app/unused', '#!/usr/bin/speak\n'),
    file(`${lib}/libc.so.6`, 'the library'),
    file('/usr/bin/speak', 'x'),
    file('/usr/share/other/data', 'x'),
    file('/srv/kept', 'x'),
    file('/srv/dropped-one', 'x'),
    file('/opt/lone', await readFile('/bin/cat')),
    file('/opt/libspare.so.1.2', 'x'),
    link('/opt/libspare.so.1', 'libspare.so.1.2'),
    dir('/var/made'),
    link('/bin', 'usr/bin'),
  ])
  components = [{ kind: 'deb', name: 'app', version: '1-2', architecture: 'amd64', mtime: 7, entries }]
  const digest = digestOf('stack')
  const ref = { kind: 'deb', name: 'app', version: '1-2', digest } as const
  const profile: Profile = {
    blueprint: 'x',
    stack: digest,
    methods: ['strace', 'strictatime'],
    paths: [
      { path: '/usr/bin/app', how: ['open', 'exec'] },
      { path: '/srv/dropped-one', how: ['stat'] },
      { path: '/var/made/state', how: ['create'], created: true },
    ],
  }
  const stack = { components: [ref], kernel: ref, busybox: ref, installation: digest }
  selection = await select({
    blueprint,
    stackDigest: digest,
    stack,
    components,
    profile,
    profileDigest: digest,
    store,
    rules,
  })
  const first = {
    '/usr/bin/app': { process: '/usr/bin/app', call: 'execve' },
    '/srv/dropped-one': { process: '/usr/bin/app', call: 'newfstatat' },
  }
  witness = { profile, first, absent: { '/etc/app.conf': { process: '/usr/bin/app', call: 'openat' } } }
})
afterAll(() => rm(directory, { recursive: true, force: true }))

const why = (path: string) => whyOf(path, selection, witness, rules)
const whyNot = (path: string) => whyNotOf(path, { selection, components, witness, rules, drop: blueprint.drop, store })

describe('why', () => {
  it('follows a library through the rule that brought its program, back to the process that was watched', () => {
    expect(why('/usr/lib/x86_64-linux-gnu/libc.so.6')).toEqual({
      path: '/usr/lib/x86_64-linux-gnu/libc.so.6',
      component: 'app',
      version: '1-2',
      type: 'file',
      size: 11,
      chain: [
        { path: '/usr/lib/x86_64-linux-gnu/libc.so.6', kind: 'closure', by: 'library of /usr/lib/app/plugin' },
        { path: '/usr/lib/app/plugin', kind: 'rule', by: 'plugins', why: 'it loads them late' },
        { path: '/usr/bin/app', kind: 'observed', by: 'strace ∪ strictatime' },
      ],
      touched: {
        path: '/usr/bin/app',
        how: ['open', 'exec'],
        first: { process: '/usr/bin/app', call: 'execve' },
        methods: ['strace', 'strictatime'],
      },
    })
  })

  it('tells a line of the blueprint, and what is made in a directory', () => {
    expect(why('/srv/kept')).toMatchObject({ chain: [{ kind: 'keep', by: 'keep: /srv/kept' }] })
    expect(why('/var/made')).toMatchObject({
      chain: [{ kind: 'closure', by: 'directory of /var/made/state' }],
      touched: { path: '/var/made/state', how: ['create'] },
    })
  })

  it('answers for every selected path, with a chain that ends in something that nothing led to', () => {
    for (const { path, reason } of selection.parts.flatMap(({ files }) => files)) {
      const { chain } = why(path)
      expect(chain[0], path).toMatchObject({ path, kind: reason.kind })
      const end = chain.at(-1)!
      const isMade = end.by.startsWith('directory of /var/made/')
      expect(['observed', 'keep', 'file', 'tree'].includes(end.kind) || isMade, path).toBe(true)
    }
  })

  it('refuses what is not there', () => {
    expect(() => why('/opt/lone')).toThrow(expect.objectContaining({ code: 'NOT_SELECTED' }))
  })
})

describe('why not', () => {
  it('knows whose it is, and what else would need it', async () => {
    expect(await whyNot('/opt/libspare.so.1.2')).toMatchObject({
      component: { name: 'app', version: '1-2', type: 'file', size: 1 },
      neededBy: [{ path: '/opt/libspare.so.1', by: 'where /opt/libspare.so.1 leads' }],
    })
    expect(await whyNot('/opt/lone')).toMatchObject({ rules: [], neededBy: [] })
  })

  it('names the line that drops it, although it was touched, and by whom', async () => {
    expect(await whyNot('/srv/dropped-one')).toMatchObject({
      droppedBy: '/srv/dropped*',
      touched: { how: ['stat'], process: '/usr/bin/app', call: 'newfstatat' },
    })
  })

  it('names the rule that would add it and what that waits for, and the one that leaves it out', async () => {
    expect(await whyNot('/usr/share/other/data')).toMatchObject({
      rules: [{ name: 'other', why: 'of something else', when: ['/usr/bin/other'] }],
    })
    expect(await whyNot('/usr/lib/app/test')).toMatchObject({ rules: [], exceptedBy: ['plugins'] })
  })

  it('names the nearest path where the stack has none', async () => {
    expect(await whyNot('/usr/lib/app/pluginn')).toEqual({
      path: '/usr/lib/app/pluginn',
      nearest: '/usr/lib/app/plugin',
      rules: [],
      exceptedBy: [],
      neededBy: [],
    })
    expect(await whyNot('/etc/lone')).toMatchObject({ nearest: '/opt/lone' })
    expect(await whyNot('/etc/app.conf')).toMatchObject({ lookedFor: { process: '/usr/bin/app', call: 'openat' } })
  })

  it('refuses what is there', async () => {
    await expect(whyNot('/srv/kept')).rejects.toMatchObject({ code: 'IS_SELECTED' })
  })
})

it('which rules applied, because of what, and what each brought along', () => {
  const [plugins, other, idle] = firedRules(selection, rules)
  expect(plugins).toMatchObject({
    name: 'plugins',
    family: 'family',
    fired: true,
    met: '/usr/bin/app',
    paths: ['/usr/lib/app/plugin', '/usr/lib/app/unused'],
    // The library of the one, and the interpreter of the other with the link on the way to it.
    followed: { files: 2, bytes: 12 },
  })
  expect(other).toMatchObject({ fired: false, added: { files: 0, bytes: 0 } })
  expect(idle).toMatchObject({ fired: true, added: { files: 0, bytes: 0 }, paths: [] })
})
