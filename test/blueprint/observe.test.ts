import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type ObserveInput, observe } from '../../src/blueprint/observe/observe.ts'
import { parseBlueprint } from '../../src/blueprint/parse.ts'
import type { BootloomError } from '../../src/config/errors.ts'
import { silent } from '../../src/config/log.ts'
import type { Progress } from '../../src/config/progress.ts'
import type { Component } from '../../src/repository/component.ts'
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

const input = async (yaml: string, more: Partial<ObserveInput> = {}): Promise<ObserveInput> => {
  const blueprint = parseBlueprint(
    `name: small\nstack: [ { deb: { packages: [busybox-static] } } ]\n${yaml}`,
    '/srv/x.yaml',
  )
  const services = await servicesIn(root, blueprint, store)
  return { blueprint, services, stackDigest: digestOf('stack'), root, trees: [], store, log: silent, ...more }
}

const failure = async (given: ObserveInput | Promise<ObserveInput>): Promise<BootloomError> =>
  observe(await given, () => {}).then(
    () => Promise.reject(new Error('it was taken')),
    (error) => error as BootloomError,
  )

const web = `
start: { command: [/bin/start], environment: { LANG: C } }
probe: { http: /, port: 8099, expect: { contains: small and real } }
`

describe('observe', () => {
  it('watches a root behind an absolute symlink as any other', async () => {
    const link = `${root}-link`
    await symlink(root, link)
    try {
      const { profile } = await observe(await input(web, { root: link }), () => {})
      expect(profile.paths.map(({ path }) => path)).toContain('/usr/bin/start')
    } finally {
      await rm(link)
    }
  })

  it('finds what a web server touches, and the same again in a second run', async () => {
    const steps: Progress[] = []
    const tree: Component = {
      kind: 'tree',
      name: 'site',
      version: '1',
      architecture: 'all',
      mtime: 0,
      entries: [
        { path: '/srv/tree', type: 'dir', mode: 0o755, uid: 0, gid: 0, size: 0 },
        {
          path: '/srv/tree/page.html',
          type: 'file',
          mode: 0o644,
          uid: 0,
          gid: 0,
          size: 9,
          digest: await store.write(Buffer.from('of a tree')),
        },
      ],
    }
    const given = await input(
      `${web}
files: [ { path: /srv/added.txt, content: by the blueprint } ]
workload:
  - { http: /tree/page.html, port: 8099, expect: { contains: of a tree } }
  - { http: /added.txt, port: 8099, expect: { contains: by the blueprint } }
  - { http: /nothing, port: 8099, expect: { status: 404 } }
  - { command: [cat, /srv/seen-by-command.html, /run/app/state], expect: { contains: ready } }
  - { reload: true }
  - { wait: 0.05 }
`,
      { trees: [tree] },
    )
    const { profile, record } = await observe(given, (event) => steps.push(event))
    const how = Object.fromEntries(profile.paths.map((touched) => [touched.path, touched.how]))
    expect(how).toMatchObject({
      '/bin': ['symlink'],
      '/var/run': expect.arrayContaining(['symlink']),
      '/usr/bin/start': expect.arrayContaining(['exec']),
      '/usr/bin/sh': expect.arrayContaining(['symlink']),
      '/usr/bin/busybox': expect.arrayContaining(['exec']),
      '/usr/bin/httpd': expect.arrayContaining(['symlink']),
      '/srv/index.html': expect.arrayContaining(['open']),
      '/srv/tree/page.html': expect.arrayContaining(['open']),
      '/srv/added.txt': expect.arrayContaining(['open']),
      '/run': expect.arrayContaining(['create']),
    })
    expect(profile.paths.filter(({ created }) => created).map(({ path }) => path)).toEqual([
      '/run/app',
      '/run/app/state',
      '/run/app/sub',
    ])
    for (const path of ['/srv/unused.html', '/srv/seen-by-command.html', '/srv/nothing', '/etc/absent']) {
      expect(how).not.toHaveProperty(path)
    }
    expect(record.workload.map(({ step }) => step)).toHaveLength(6)
    expect(record.stopped).toBe('by signal')
    expect([...new Set(steps.map(({ step }) => step))]).toEqual(['copy', 'start', 'probe', 'workload', 'stop', 'read'])

    const again = await observe(given, () => {})
    expect(await store.writeJson(again.profile)).toBe(await store.writeJson(profile))
    expect(await readdir(join(root, 'run'))).toEqual([])
  })

  it('runs the application as its account, in its groups, with its environment alone', async () => {
    const { record } = await observe(
      await input(`
start:
  command: [sh, -c, "id -u; id -g; id -G; pwd; env; exec httpd -f -p 8099 -h /srv"]
  user: web
  directory: /srv
  environment: { COLOUR: "blue 'n' green" }
probe:
  command: [sh, -c, "wget -q -O /dev/null http://127.0.0.1:8099/ && test $(id -u) = 990 && id -G && pwd && echo $COLOUR"]
  expect: { contains: "991 992\\n/srv\\nblue 'n' green" }
workload: [ { http: /, port: 8099 } ]
`),
      () => {},
    )
    expect(record.probe.detail).toBe('exit status 0')
  })

  it('says so when the start command ends, with its status and what it said last', async () => {
    const error = await failure(
      input(`start: { command: [sh, -c, "echo no such module >&2; exit 3"] }\nprobe: { tcp: 8099 }`),
    )
    expect(error).toMatchObject({ code: 'OBSERVE_START_FAILED', message: 'sh ended with exit status 3' })
    expect(error.details).toEqual(['no such module'])
  })

  it('says so when the start command is not there, or goes into the background', async () => {
    const absent = await failure(input('start: { command: [/usr/bin/nothing] }\nprobe: { tcp: 8099 }'))
    expect(absent).toMatchObject({ code: 'OBSERVE_START_FAILED' })
    expect(absent.details.join()).toMatch(/nothing.*No such file/)
    const gone = await failure(input(`start: { command: [sh, -c, "sleep 60 & exit 0"] }\nprobe: { tcp: 8099 }`))
    expect(gone.message).toBe('sh went into the background')
  })

  it('says so when the probe is never answered, with the last answer and what the application said', async () => {
    const error = await failure(
      input(`start: { command: [sh, -c, "echo waiting; exec sleep 60"] }\nprobe: { tcp: 8099 }`, {
        deadlines: { probe: 1500 },
      }),
    )
    expect(error.code).toBe('PROBE_NEVER_ANSWERED')
    expect(error.message).toMatch(/^tcp 8099 was not answered as expected within 1\.5 s: .*ECONNREFUSED/)
    expect(error.details).toEqual(['waiting'])
  })

  it('says which step of the workload went wrong, also when a command of it never ends', async () => {
    const wrong = await failure(
      input(`${web}workload: [ { http: /unused.html, port: 8099, expect: { contains: x-y } } ]`),
    )
    expect(wrong).toMatchObject({ code: 'WORKLOAD_FAILED', where: 'small workload[0]' })
    expect(wrong.message).toContain('never asked for')
    const endless = await failure(
      input(`${web}workload: [ { wait: 0 }, { command: [sleep, "60"] } ]`, { deadlines: { step: 300 } }),
    )
    expect(endless).toMatchObject({ where: 'small workload[1]', message: 'sleep 60: did not end within 300 ms' })
  })

  it('ends by force what does not listen to its stop signal', async () => {
    const stubborn = `start: { command: [sh, -c, "trap '' TERM; httpd -p 8099 -h /srv; while :; do sleep 1; done"] }`
    const given = await input(`${stubborn}\nprobe: { http: /, port: 8099 }`, { deadlines: { stop: 300 } })
    expect((await observe(given, () => {})).record.stopped).toBe('killed')
  })

  it('names an account that the stack does not have', async () => {
    const given = input(`start: { command: [sh], user: nobody-here }\nprobe: { tcp: 1 }`)
    await expect(given).rejects.toMatchObject({ code: 'ACCOUNT_UNKNOWN', where: 'nobody-here' })
  })

  it('leaves nothing behind when it is aborted', async () => {
    const given = await input(`start: { command: [sleep, "60"] }\nprobe: { tcp: 8099 }`)
    await expect(observe(given, () => {}, AbortSignal.timeout(400))).rejects.toMatchObject({ name: 'TimeoutError' })
  })

  it('leaves nothing behind when its process is killed', async () => {
    const program = fileURLToPath(new URL('./observe-until-killed.ts', import.meta.url))
    const child = spawn(process.execPath, [program, root], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    expect((await leftovers(root)).length).toBeGreaterThan(2)
    child.kill('SIGKILL')
    await once(child, 'exit')
    for (let waited = 0; waited < 5000 && (await leftovers(root)).length > 0; waited += 50) await sleep(50)
  })
})
