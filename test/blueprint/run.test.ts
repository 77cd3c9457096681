import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type ObserveInput, observe } from '../../src/blueprint/observe/observe.ts'
import { parseBlueprint } from '../../src/blueprint/parse.ts'
import type { BootloomError } from '../../src/config/errors.ts'
import { silent } from '../../src/config/log.ts'
import { digestOf } from '../../src/store/digest.ts'
import { Store } from '../../src/store/store.ts'
import { leftovers, servicesIn, smallRoot } from './small-root.ts'

let root: string
let store: Store
beforeAll(async () => {
  root = await smallRoot()
  store = await Store.open(`${root}-store`)
})
afterEach(async () => expect(await leftovers(root)).toEqual([]))
afterAll(async () => {
  await rm(root, { recursive: true, force: true })
  await rm(`${root}-store`, { recursive: true, force: true })
})

async function input(
  yaml: string,
  units: Readonly<Record<string, string>> = {},
  more: Partial<ObserveInput> = {},
): Promise<ObserveInput> {
  const text = `name: small\nstack: [ { deb: { packages: [busybox-static] } } ]\n${yaml}`
  const blueprint = parseBlueprint(text, join(`${root}-store`, 'x.yaml'))
  const services = await servicesIn(root, blueprint, store, units)
  return { blueprint, services, stackDigest: digestOf('stack'), root, trees: [], store, log: silent, ...more }
}

const seen = async (...given: Parameters<typeof input>) => observe(await input(...given), () => {})
const failure = async (...given: Parameters<typeof input>): Promise<BootloomError> =>
  seen(...given).then(
    () => Promise.reject(new Error('it was taken')),
    (error) => error as BootloomError,
  )
const touched = ({ profile }: Awaited<ReturnType<typeof seen>>) => profile.paths.map(({ path }) => path)

/** busybox's web server goes into the background by itself, as many daemons do. */
const forking = '[Service]\nType=forking\nExecStart=/usr/bin/httpd -p 8099 -h /srv\n'
const probe = 'probe: { http: /, port: 8099, expect: { contains: small and real } }\n'

describe('a run', () => {
  it('takes the process that a forking service leaves behind for its main one, and stops it', async () => {
    const { record } = await seen(`service: web\n${probe}workload: [ { restart: true } ]`, { 'web.service': forking })
    expect(record.stopped).toBe('by signal')
    expect(record.workload).toMatchObject([{ step: 'restart', detail: 'HTTP 200, 14 bytes' }])
  })

  it('does not take a helper that soon ends for the main process of a forking service', async () => {
    const unit = '[Service]\nType=forking\nExecStart=/bin/sh -c "sleep 0.5 & httpd -p 8099 -h /srv"\n'
    const { record } = await seen(`service: web\n${probe}workload: [ { wait: 0.8 } ]`, { 'web.service': unit })
    expect(record.stopped).toBe('by signal')
  })

  it('goes by the PID file where there is one, and runs what starts, reloads and stops it watched', async () => {
    const script = (name: string) =>
      `ExecStart=/bin/sh -c "httpd -f -p 8099 -h /srv & echo $$! >/run/web/pid; cat /etc/${name}"`
    await Promise.all(['pre', 'start', 'reload', 'stop'].map((name) => writeFile(join(root, 'etc', name), name)))
    const unit = `[Service]
Type=forking
PIDFile=/run/web/pid
User=web
RuntimeDirectory=web
ExecStartPre=+/bin/sh -c "test $$(id -u) = 0 && cat /etc/pre"
${script('start')}
ExecReload=/bin/sh -c "cat /etc/reload; test $$MAINPID = $MAINPID"
ExecStop=/bin/sh -c "cat /etc/stop"
`
    const run = await seen(`service: web\n${probe}workload: [ { reload: true } ]`, { 'web.service': unit })
    expect(touched(run)).toEqual(expect.arrayContaining(['/etc/pre', '/etc/start', '/etc/reload', '/etc/stop']))
    expect(run.record.stopped).toBe('by signal')
  })

  it('starts several services in their order, each once those before it answer', async () => {
    const run = await seen(`
services:
  - name: web
    start: { command: [sh, -c, "test -e /run/made && cat /run/made && exec httpd -f -p 8099 -h /srv"] }
    after: [maker, other]
  - name: other
    start: { command: [sh, -c, "sleep 0.3; exec httpd -f -p 8098 -h /run"] }
    probe: { http: /made, port: 8098 }
    after: [maker]
  - name: maker
    start: { command: [sh, -c, "echo made >/run/made"], type: oneshot }
${probe}workload: [ { http: /made, port: 8098 } ]`)
    expect(run.record.stopped).toBe('by signal')
    expect(touched(run)).toContain('/run/made')
  })

  it('drives scripts of a directory in their order, and moves logs as logrotate does', async () => {
    const scripts = join(`${root}-store`, 'scripts')
    await mkdir(scripts)
    const write = async (name: string, text: string, mode: number) => {
      await writeFile(join(scripts, name), `#!/bin/sh\n${text}\n`)
      await chmod(join(scripts, name), mode)
    }
    await write('20-second', 'test "$(cat /run/first)" = first && test "$(id -u)" = 990', 0o755)
    await write('10-first', 'echo first >/run/first', 0o755)
    await write('30-no-program', 'exit 1', 0o644)
    const command = 'mkdir -p /var/log; echo line >/var/log/web.log; exec httpd -f -p 8099 -h /srv'
    const yaml = `start: { command: [sh, -c, "${command}"] }
writable: [ { path: /run, owner: web } ]
${probe}workload:
  - { scripts: ./scripts, user: web }
  - { rotate: true }
  - { command: [cat, /var/log/web.log.1], expect: { contains: line } }`
    const { record } = await seen(yaml)
    expect(record.workload.map(({ step, detail }) => [step, detail])).toEqual([
      ['scripts of scripts', '2 scripts'],
      ['rotate', 'HTTP 200, 14 bytes'],
      ['cat /var/log/web.log.1', 'exit status 0'],
    ])
    await write('25-wrong', 'echo not so; exit 7', 0o755)
    const error = await failure(yaml)
    expect(error).toMatchObject({ code: 'WORKLOAD_FAILED', where: 'small workload[0]' })
    expect(error.message).toContain('25-wrong: exit status 7: "not so"')
  })

  it.skipIf(process.getuid?.() !== 0)(
    'takes links in a circle, names of 4,000 bytes, devices, pipes and sockets as they come',
    async () => {
      const srv = join(root, 'srv')
      const parents = Array.from({ length: 19 }, () => 'n'.repeat(199))
      const file = 'f'.repeat(4000 - '/srv/'.length - parents.length * 200)
      const long = `/srv/${[...parents, file].join('/')}`
      // Too long to be named from outside the root.
      const make = 'cd "$0"; for name in $1; do mkdir $name; cd $name; done; echo deep >$2'
      execFileSync('sh', ['-c', make, srv, parents.join(' '), file])
      await symlink('circle', join(srv, 'ring'))
      await symlink('ring', join(srv, 'circle'))
      await symlink('.', join(srv, 'self'))
      execFileSync('mkfifo', [join(srv, 'pipe')])
      execFileSync('mknod', [join(srv, 'null'), 'c', '1', '3'])
      const listening = createServer().listen(join(srv, 'socket'))
      await once(listening, 'listening')
      const command = `cat /srv/ring; cat /srv/self/self/index.html $LONG /srv/null && test -S /srv/socket && test -p /srv/pipe`
      for (const method of ['strace', 'fanotify'] as const) {
        const words = `[sh, -c, "${command} && exec httpd -f -p 8099 -h /srv"]`
        const yaml = `start: { command: ${words}, environment: { LONG: ${long} } }\n${probe}`
        const paths = touched(await seen(yaml, {}, { method }))
        expect(long).toHaveLength(4000)
        expect(paths).toEqual(
          expect.arrayContaining(['/srv/circle', '/srv/index.html', '/srv/ring', '/srv/self', long]),
        )
        const special = ['/srv/null', '/srv/pipe', '/srv/socket']
        if (method === 'strace') expect(paths).toEqual(expect.arrayContaining(special))
      }
      listening.close()
      execFileSync('rm', ['-r', join(srv, parents[0]!)])
    },
  )

  it('says so when a forking service stays, leaves nothing, or leaves what soon ends', async () => {
    const unit = (command: string) => ({
      'web.service': `[Service]\nType=forking\nExecStart=/bin/sh -c "${command}"\n`,
    })
    const short = { deadlines: { probe: 500 } }
    const stays = await failure(`service: web\n${probe}`, unit('exec sleep 60'), short)
    expect(stays).toMatchObject({ code: 'OBSERVE_START_FAILED', message: '/bin/sh did not end within 0.5 s' })
    const nothing = await failure(`service: web\n${probe}`, unit('exit 0'), short)
    expect(nothing).toMatchObject({ code: 'OBSERVE_START_FAILED', message: '/bin/sh left no process behind' })
    const soon = await failure(`service: web\n${probe}`, unit('sleep 0.3 & exit 0'))
    expect(soon).toMatchObject({ message: '/bin/sh left a process behind that has ended' })
    const failing = await failure(`service: web\n${probe}`, unit('echo no port >&2; exit 4'))
    expect(failing).toMatchObject({ message: '/bin/sh ended with exit status 4', details: ['no port'] })
  })

  it('says what a command of the unit did when it fails, and what wants a terminal says itself', async () => {
    const pre = {
      'web.service': '[Service]\nExecStartPre=/bin/sh -c "echo bad line 7; exit 1"\nExecStart=/bin/sleep 60\n',
    }
    expect(await failure(`service: web\n${probe}`, pre)).toMatchObject({
      code: 'OBSERVE_START_FAILED',
      message: '/bin/sh ended with exit status 1',
      details: ['bad line 7'],
    })
    const terminal = `start: { command: [sh, -c, "test -t 0 || { echo needs a terminal; exit 2; }"] }\n${probe}`
    expect(await failure(terminal)).toMatchObject({ code: 'OBSERVE_START_FAILED', details: ['needs a terminal'] })
    const silent = `start: { command: [httpd, -f, -p, "8099", -h, /srv] }\n${probe}`
    const reload = { 'web.service': '[Service]\nExecStart=/bin/httpd -f -p 8099 -h /srv\n' }
    expect(await failure(`service: web\n${probe}workload: [ { reload: true } ]`, reload)).toMatchObject({
      code: 'WORKLOAD_FAILED',
      message: 'reload: no service can be told to reload',
    })
    const endless = await failure(
      `${silent}workload: [ { wait: 0.3 }, { wait: 0.3 }, { wait: 0.3 } ]`,
      {},
      { deadlines: { workload: 400 } },
    )
    expect(endless).toMatchObject({
      where: 'small workload[2]',
      message: 'wait 0.3 s: the workload did not end within 0.4 s',
    })
  })
})
