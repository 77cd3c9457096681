import { lstat, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type ObserveInput, observe } from '../../src/blueprint/observe/observe.ts'
import { parseBlueprint } from '../../src/blueprint/parse.ts'
import { type Replayed, replay } from '../../src/blueprint/replay/replay.ts'
import { silent } from '../../src/config/log.ts'
import type { Component } from '../../src/repository/component.ts'
import { digestOf } from '../../src/store/digest.ts'
import { Store } from '../../src/store/store.ts'
import { componentOf, type Tree } from '../compose/stack.ts'
import { leftovers, servicesIn, smallRoot } from './small-root.ts'

let root: string
let store: Store
let stack: Component
beforeAll(async () => {
  root = await smallRoot()
  store = await Store.open(`${root}-store`)
  const ref = await componentOf(store, 'deb', 'small', '1.2-3', await treeOf(root))
  stack = await store.readJson<Component>(ref.digest)
})
afterEach(async () => expect(await leftovers(root)).toEqual([]))
afterAll(async () => {
  await rm(root, { recursive: true, force: true })
  await rm(`${root}-store`, { recursive: true, force: true })
})

async function treeOf(directory: string): Promise<Tree> {
  const tree: Record<string, Tree[string]> = {}
  // readdir() would go on through links to directories.
  const { stdout } = await execa('find', ['.', '-mindepth', '1', '-printf', '%P\\n'], { cwd: directory })
  for (const name of stdout.split('\n')) {
    const facts = await lstat(join(directory, name))
    if (facts.isDirectory()) tree[`/${name}`] = null
    else if (facts.isSymbolicLink()) tree[`/${name}`] = { to: await readlink(join(directory, name)) }
    else tree[`/${name}`] = await readFile(join(directory, name))
  }
  return tree
}

/** Watches the small root, then replays a bundle that holds all of it but for what `edit` does to it. */
async function replayed(yaml: string, edit: (bundle: string) => Promise<unknown>): Promise<Replayed> {
  const text = `name: small
stack: [ { deb: { packages: [small] } } ]
start: { command: [/bin/start] }
probe: { http: /, port: 8099 }
${yaml}`
  const blueprint = parseBlueprint(text, '/srv/x.yaml')
  const services = await servicesIn(root, blueprint, store)
  const given: ObserveInput = {
    ...{ blueprint, services, stackDigest: digestOf('stack'), root, trees: [], store, log: silent },
  }
  const watched = async () => (await observe(given, () => {})).record
  const unpack = async (bundle: string) => {
    await execa('cp', ['-a', `${root}/.`, bundle])
    await edit(bundle)
  }
  const expected = await watched()
  const input = { blueprint, services, root, unpack, components: [stack], expected, again: watched, log: silent }
  return replay(input, () => {})
}

describe('replay', () => {
  it('holds where the bundle does what the full stack does, and its commands find the programs of the stack', async () => {
    const found = await replayed(
      `workload:
  - { http: /, port: 8099 }
  - { command: [cat, /srv/seen-by-command.html, /run/app/state], expect: { contains: ready } }
  - { reload: true }`,
      (bundle) => rm(join(bundle, 'srv/seen-by-command.html')),
    )
    expect(found).toMatchObject({ holds: true, differences: [], lacking: [], dropped: [] })
  })

  it('names the file that is lacking, the component that has it, and who asked for it', async () => {
    const found = await replayed('workload: [ { http: /unused.html, port: 8099 } ]', (bundle) =>
      rm(join(bundle, 'srv/unused.html')),
    )
    expect(found.holds).toBe(false)
    expect(found.lacking).toMatchObject([
      { path: '/srv/unused.html', component: 'small', version: '1.2-3', process: '/usr/bin/httpd' },
    ])
    expect(found.differences).toMatchObject([{ step: 'run', detail: expect.stringContaining('HTTP 404') }])
  })

  it('names what a start that fails asked for, and a link on the way to it', async () => {
    const found = await replayed('', (bundle) => rm(join(bundle, 'bin')))
    expect(found.lacking.map(({ path }) => path)).toEqual(['/bin'])
    const without = await replayed('', (bundle) => rm(join(bundle, 'usr/bin/httpd')))
    expect(without.lacking).toMatchObject([{ path: '/usr/bin/httpd', process: '/bin/start', call: 'execve' }])
  })

  it('tells an answer that differs though nothing is lacking', async () => {
    const found = await replayed('workload: [ { http: /index.html, port: 8099 } ]', (bundle) =>
      writeFile(join(bundle, 'srv/index.html'), 'small and false'),
    )
    expect(found).toMatchObject({ holds: false, lacking: [] })
    expect(found.differences.map(({ step }) => step)).toEqual(['probe', 'GET /index.html on port 8099'])
    expect(found.differences[1]!.detail).toContain('small and real')
  })

  it('takes no heed of what the full stack does not answer twice', async () => {
    const random = '[sh, -c, "head -c 9 /dev/urandom | md5sum | tr 0-9 g-p"]'
    const found = await replayed(`workload: [ { command: ${random} } ]`, async () => {})
    expect(found).toMatchObject({ holds: true, differences: [] })
  })

  it('only mentions what the blueprint drops', async () => {
    const found = await replayed(
      'drop: [/srv/unused.html]\nworkload: [ { command: [sh, -c, "wget -q -O - http://127.0.0.1:8099/unused.html; true"] } ]',
      (bundle) => rm(join(bundle, 'srv/unused.html')),
    )
    expect(found).toMatchObject({ lacking: [], dropped: ['/srv/unused.html'] })
  })
})
