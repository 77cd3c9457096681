import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseBlueprint } from '../../src/blueprint/parse.ts'
import type { Service } from '../../src/blueprint/service.ts'
import { servicesOf } from '../../src/blueprint/services.ts'
import type { BootloomError } from '../../src/config/errors.ts'
import type { Component } from '../../src/repository/component.ts'
import { Store } from '../../src/store/store.ts'
import { componentOf, type Tree } from '../compose/stack.ts'

let directory: string
let store: Store
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootloom-services-'))
  store = await Store.open(directory)
})
afterAll(() => rm(directory, { recursive: true, force: true }))

const units = '/usr/lib/systemd/system'
const accounts = {
  '/etc/passwd': 'root:x:0:0::/root:/bin/sh\nweb:x:33:33::/var/www:/bin/false\nnobody:x:65534:65534::/:/bin/false\n',
  '/etc/group': 'root:x:0:\nweb:x:33:\nlog:x:44:web\n',
}

/** What a blueprint of package `web` runs, its stack having these files of that package, and others of another. */
async function resolve(yaml: string, ofWeb: Tree, ofOther: Tree = {}): Promise<readonly Service[]> {
  const refs = [
    await componentOf(store, 'deb', 'other', '1', ofOther),
    await componentOf(store, 'deb', 'web', '1', ofWeb),
    await componentOf(store, 'configuration', 'configuration', '1', accounts),
  ]
  const components = await Promise.all(refs.map(({ digest }) => store.readJson<Component>(digest)))
  const text = `name: shop\nstack: [ { deb: { packages: [web] } } ]\nprobe: { tcp: 80 }\n${yaml}`
  return servicesOf(parseBlueprint(text, '/srv/x.yaml'), components, store)
}

const failure = (...given: Parameters<typeof resolve>): Promise<BootloomError> =>
  resolve(...given).then(
    () => Promise.reject(new Error('it was taken')),
    (error) => error as BootloomError,
  )

const plain = '[Service]\nExecStart=/usr/sbin/web\n'

describe('servicesOf', () => {
  it('fills a service in from its unit, drop-ins and environment files', async () => {
    const unit = `[Unit]
After=network.target
[Service]
Type=forking
PIDFile=/var/run/web/web.pid
User=web
Group=log
UMask=0027
LimitNOFILE=4096:8192
WorkingDirectory=~
Environment="A=one two" B=%p
EnvironmentFile=-/etc/default/absent
EnvironmentFile=/etc/default/web
RuntimeDirectory=web web/sub
RuntimeDirectoryMode=2750
StateDirectory=web:other
ExecStartPre=-+/bin/mkdir -p /srv/web
ExecStart=/usr/sbin/old
ExecReload=/usr/sbin/web -t
ExecReload=/bin/kill -s HUP $MAINPID
ExecStop=-/usr/sbin/web --stop \${MAINPID}
KillSignal=SIGQUIT
ProtectSystem=full
`
    const [service, ...rest] = await resolve('writable: [ { path: /srv/spool, owner: web, mode: "750" } ]', {
      [`${units}/web.service`]: unit,
      '/etc/default/web': 'OPTS="--fast --name=x"\n',
      '/etc/systemd/system/web.service.d/10-first.conf': '[Service]\nExecStart=\nExecStart=/usr/sbin/lost\n',
      '/etc/systemd/system/web.service.d/20-last.conf':
        '[Service]\nExecStart=\nExecStart=@/usr/sbin/web web-name $OPTS ${A}\n',
    })
    expect(rest).toEqual([])
    expect(service).toEqual({
      name: 'shop',
      unit: `${units}/web.service`,
      after: [],
      account: { name: 'web', uid: 33, gid: 44, groups: [44], home: '/var/www' },
      directory: '/var/www',
      environment: {
        PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        ...{ HOME: '/var/www', LOGNAME: 'web', USER: 'web', SHELL: '/bin/sh' },
        ...{ RUNTIME_DIRECTORY: '/run/web:/run/web/sub', STATE_DIRECTORY: '/var/lib/web' },
        ...{ A: 'one two', B: 'web', OPTS: '--fast --name=x' },
      },
      umask: '0027',
      openFiles: 4096,
      pre: [{ words: ['/bin/mkdir', '-p', '/srv/web'], mayFail: true, asRoot: true }],
      start: { words: ['/usr/sbin/web', '--fast', '--name=x', 'one two'], mayFail: false, asRoot: false },
      type: 'forking',
      pidFile: '/run/web/web.pid',
      reload: [{ words: ['/usr/sbin/web', '-t'], mayFail: false, asRoot: false }, { signal: 'HUP' }],
      stop: [{ words: ['/usr/sbin/web', '--stop', '$MAINPID'], mayFail: true, asRoot: false }, { signal: 'QUIT' }],
      probe: undefined,
      directories: [
        { path: '/run/web', uid: 33, gid: 44, mode: '2750' },
        { path: '/run/web/sub', uid: 33, gid: 44, mode: '2750' },
        { path: '/var/lib/web', uid: 33, gid: 44, mode: '0755' },
        { path: '/srv/spool', uid: 33, gid: 33, mode: '0750' },
      ],
      ignored: ['ProtectSystem'],
    })
  })

  it('finds the unit of a package by its name, through another name for it, and by being the only one', async () => {
    const unitOf = async (...given: Parameters<typeof resolve>) => (await resolve(...given))[0]!.unit
    const alone = { [`${units}/httpd.service`]: plain, [`${units}/httpd@.service`]: plain }
    expect(await unitOf('', alone)).toBe(`${units}/httpd.service`)
    const alias = {
      ...alone,
      [`${units}/extra.service`]: plain,
      '/etc/systemd/system/web.service': { to: `${units}/httpd.service` },
    }
    expect(await unitOf('', alias)).toBe(`${units}/httpd.service`)
    const byOther = { [`${units}/web.service`]: plain }
    expect(await unitOf('', alone, byOther)).toBe(`${units}/web.service`)
    const helper = { ...alone, [`${units}/set-up.service`]: '[Service]\nType=oneshot\nExecStart=/bin/true\n' }
    expect(await unitOf('', helper)).toBe(`${units}/httpd.service`)
  })

  it('starts an instance of a template', async () => {
    const tree = { [`${units}/web@.service`]: '[Service]\nExecStart=/usr/sbin/web --site=%i %I\n' }
    const [service] = await resolve('service: web@a-b', tree)
    expect(service!.start.words).toEqual(['/usr/sbin/web', '--site=a-b', 'a/b'])
  })

  it('makes the directories below /run that the package of the unit wants at boot', async () => {
    const [service] = await resolve('', {
      [`${units}/web.service`]: `${plain}PIDFile=/run/own/web.pid\n`,
      '/usr/lib/tmpfiles.d/web.conf':
        '# no\nd /run/web 0750 web log -\nd! /var/run/other - - - -\nd /var/log/web 0750 web web\nd /run/../etc 0777\nd /run/x 0755 absent -\nf /run/file\n',
    })
    expect(service!.directories).toEqual([
      { path: '/run/own', uid: 0, gid: 0, mode: '0755' },
      { path: '/run/web', uid: 33, gid: 44, mode: '0750' },
      { path: '/run/other', uid: 0, gid: 0, mode: '0755' },
    ])
  })

  it('puts several services in the order that they ask for', async () => {
    const services = await resolve(
      `services:
  - { name: web, after: [cache, db], probe: { tcp: 80 } }
  - { name: cache, start: { command: [/bin/cache], reload: USR1 } }
  - { name: db, unit: web@db, after: [cache] }
`,
      { [`${units}/web.service`]: plain, [`${units}/web@.service`]: plain },
    )
    expect(services.map(({ name, unit, after }) => [name, unit, after])).toEqual([
      ['cache', undefined, []],
      ['db', `${units}/web@.service`, ['cache']],
      ['web', `${units}/web.service`, ['cache', 'db']],
    ])
  })

  it('says what it needs to be told, with the units that there are', async () => {
    const two = { [`${units}/one.service`]: plain, [`${units}/two.service`]: plain, [`${units}/many@.service`]: plain }
    expect(await failure('', two)).toMatchObject({ code: 'SERVICE_AMBIGUOUS', details: ['one.service', 'two.service'] })
    expect(await failure('', {}, two)).toMatchObject({
      code: 'SERVICE_UNKNOWN',
      details: ['one.service', 'two.service'],
    })
    expect(await failure('service: tow', two)).toMatchObject({
      code: 'SERVICE_UNKNOWN',
      hint: 'Did you mean two.service?',
      details: ['one.service', 'two.service', 'many@INSTANCE'],
    })
    const nothing = { ...two, [`${units}/web.service`]: '[Service]\nType=oneshot\nExecStart=/bin/true\n' }
    expect(await failure('', nothing)).toMatchObject({ code: 'UNIT_INVALID', details: ['many@INSTANCE'] })
  })

  it.each([
    ['no ExecStart', 'Type=simple', /has no ExecStart/],
    ['a type that systemd does not have', 'Type=magic\nExecStart=/bin/a', /Type=magic/],
    ['two commands that both stay', 'ExecStart=/bin/a\nExecStart=/bin/b', /only Type=oneshot/],
    ['a file of variables that is not there', 'ExecStart=/bin/a\nEnvironmentFile=/etc/absent', /not in the stack/],
    ['a signal that is none', 'ExecStart=/bin/a\nKillSignal=SIGLOUD', /no signal/],
    ['a directory that leads elsewhere', 'ExecStart=/bin/a\nRuntimeDirectory=../etc', /without \. or \.\./],
    ['a mode that is none', 'ExecStart=/bin/a\nUMask=rwx', /no octal mode/],
    ['a prefix without a program', 'ExecStart=-', /no program/],
  ])('refuses a unit with %s', async (_what, lines, message) => {
    const error = await failure('', { [`${units}/web.service`]: `[Service]\n${lines}\n` })
    expect(error).toMatchObject({ code: 'UNIT_INVALID', message: expect.stringMatching(message) })
  })

  it('refuses a masked unit, a unit that is a directory, an endless link and an account that is not there', async () => {
    const at = `${units}/web.service`
    expect(await failure('service: web', { [at]: { to: '/dev/null' } })).toMatchObject({ code: 'UNIT_INVALID' })
    expect(await failure('service: web', { [at]: null })).toMatchObject({ code: 'UNIT_INVALID' })
    expect(await failure('service: web', { [at]: { to: 'web.service' } })).toMatchObject({ code: 'UNIT_INVALID' })
    expect(await failure('', { [at]: `${plain}User=absent\n` })).toMatchObject({
      code: 'ACCOUNT_UNKNOWN',
      where: 'absent',
    })
    expect(await failure('service: web.socket', {})).toMatchObject({ code: 'UNIT_INVALID' })
  })
})
