import { rm } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type ObserveInput, observe } from '../../src/blueprint/observe/observe.ts'
import { parseBlueprint } from '../../src/blueprint/parse.ts'
import { unite } from '../../src/blueprint/profile.ts'
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

const input = async (workload: string, more: Partial<ObserveInput>): Promise<ObserveInput> => {
  const text = `name: small
stack: [ { deb: { packages: [small] } } ]
start: { command: [/bin/start] }
probe: { http: /, port: 8099 }
workload: [ ${workload} ]`
  const blueprint = parseBlueprint(text, '/srv/x.yaml')
  const services = await servicesIn(root, blueprint, store)
  return { blueprint, services, stackDigest: digestOf('stack'), root, trees: [], store, log: silent, ...more }
}

const page = '{ http: /unused.html, port: 8099 }'
const command = '{ command: [cat, /srv/seen-by-command.html] }'

describe('watching by fanotify', () => {
  it('finds every file that is opened, and nothing that a command of the workload opens', async () => {
    const { profile, record } = await observe(await input(`${page}, ${command}`, { method: 'fanotify' }), () => {})
    const how = Object.fromEntries(profile.paths.map((touched) => [touched.path, touched.how]))
    expect(profile.methods).toEqual(['fanotify', 'strictatime'])
    expect(how).toMatchObject({
      '/usr/bin/start': ['exec'],
      '/usr/bin/busybox': expect.arrayContaining(['exec']),
      '/srv/unused.html': ['open'],
      // Links are walked, not opened: by access time.
      '/bin': ['symlink'],
      '/run': expect.arrayContaining(['create']),
    })
    expect(how).not.toHaveProperty('/srv/seen-by-command.html')
    // The process that opened it may have ended before anybody could look at it.
    expect([undefined, { process: '/usr/bin/busybox', call: 'open' }]).toContainEqual(record.first['/srv/unused.html'])
  })

  it('opens what strace sees opened; what was only asked about, it does not know', async () => {
    const [byOpens, byCalls] = await Promise.all([
      observe(await input(page, { method: 'fanotify' }), () => {}),
      observe(await input(page, { method: 'strace' }), () => {}),
    ])
    const opened = (found: typeof byOpens) =>
      found.profile.paths
        .filter(({ how, created }) => !created && how.some((touch) => touch === 'open' || touch === 'exec'))
        .map(({ path }) => path)
    expect(opened(byOpens)).toEqual(expect.arrayContaining(opened(byCalls)))
    const statOnly = byCalls.profile.paths.filter(({ how }) => how.join() === 'stat').map(({ path }) => path)
    const known = new Set(byOpens.profile.paths.map(({ path }) => path))
    expect(statOnly.filter((path) => known.has(path))).toEqual([])
  })
})

describe('watching live', () => {
  it('tells each path while the run goes on, once', async () => {
    const told: [string, string | undefined][] = []
    let before = 0
    const given = await input(`${page}, { wait: 0.8 }, { http: /, port: 8099 }`, {
      onTouched: (path, by) => told.push([path, by?.process]),
    })
    await observe(given, ({ detail }) => {
      if (detail?.startsWith('3/3')) before = told.length
    })
    const paths = told.map(([path]) => path)
    expect(paths.slice(0, before)).toContain('/srv/unused.html')
    expect(new Set(paths).size).toBe(paths.length)
    expect(told.find(([path]) => path === '/srv/unused.html')![1]).toBe('/usr/bin/httpd')
  })
})

describe('profiles', () => {
  it('unite what several runs and methods found', async () => {
    const first = await observe(await input('', { method: 'fanotify' }), () => {})
    const second = await observe(await input(page, {}), () => {})
    const both = unite(first.profile, second.profile)
    expect(both.methods).toEqual(['strace', 'fanotify', 'strictatime'])
    const paths = both.paths.map(({ path }) => path)
    expect(paths).toEqual([...new Set(paths)].sort())
    expect(paths).toEqual(expect.arrayContaining([...first.profile.paths, ...second.profile.paths].map((p) => p.path)))
    expect(unite(both, second.profile)).toEqual(both)
  })
})
