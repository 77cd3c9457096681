import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Selection } from '../../src/blueprint/selection.ts'
import { silent } from '../../src/config/log.ts'
import { reasonRoutes } from '../../src/http/api/reasons.ts'
import { ApiClient } from '../../src/http/api-client.ts'
import { type ApiServer, buildApi, listenApi } from '../../src/http/api-server.ts'
import type { Component } from '../../src/repository/component.ts'
import { updateBlueprint } from '../../src/state/blueprints.ts'
import { digestOf } from '../../src/store/digest.ts'
import { type Fixture, startFixture } from './fixture.ts'

let fixture: Fixture
let api: ApiServer
let client: ApiClient
beforeAll(async () => {
  fixture = await startFixture()
  const { store, state, settings, directory } = fixture
  const entry = { mode: 0o644, uid: 0, gid: 0, size: 1, digest: digestOf('x') }
  const names = { kind: 'deb', name: 'tzdata', version: '1' } as const
  const file = (path: string) => ({ ...entry, path, type: 'file' as const })
  const link = { ...entry, path: '/lib', type: 'symlink' as const, size: 0, target: 'usr/lib' }
  const component: Component = {
    ...names,
    architecture: 'all',
    mtime: 0,
    entries: [file('/etc/localtime'), link, file('/usr/lib/seen'), file('/usr/lib/unused')],
  }
  const ref = { ...names, digest: await store.writeJson(component) }
  const stack = await store.writeJson({ components: [ref], kernel: ref, busybox: ref, installation: ref.digest })
  const touched = [{ path: '/usr/lib/seen', how: ['open'] }]
  const profile = await store.writeJson({ blueprint: 'x', stack, methods: ['strace'], paths: touched })
  const files: Selection['parts'][number]['files'] = [
    { ...file('/etc/localtime'), reason: { kind: 'rule', by: 'time-zone' } },
    { ...file('/usr/lib/seen'), reason: { kind: 'observed', by: 'strace' } },
  ]
  const selection: Selection = { blueprint: 'x', stack, profile, parts: [{ component: ref, mtime: 0, files }] }
  const first = { '/usr/lib/seen': { process: '/usr/bin/app', call: 'openat' } }
  const yaml = 'name: x\nstack: [ { deb: { packages: [tzdata] } } ]\nstart: { command: [/x] }\nprobe: { tcp: 1 }\n'
  const record = { name: 'x', yaml, directory: '/srv', digest: digestOf(yaml), updatedAt: 1 }
  const selectionDigest = await store.writeJson(selection)
  const observationDigest = await store.writeJson({ first, absent: {} })
  await updateBlueprint(state.redis, 'x', () => ({ ...record, selectionDigest, observationDigest }))
  await updateBlueprint(state.redis, 'bare', () => ({ ...record, name: 'bare' }))
  const context = { store, state, settings, directory, log: silent, close: async () => {} }
  const built = await buildApi({ ...fixture, log: silent, routes: [(app) => reasonRoutes(app, context)] })
  api = await listenApi(built, join(directory, 'api.sock'))
  client = new ApiClient(api.socket)
})
afterAll(async () => {
  await client.close()
  await api.close()
  await fixture.close()
})

const ask = (question: string, path: string, name = 'x') =>
  client.request('GET', `/v1/blueprints/${name}/${question}?path=${encodeURIComponent(path)}`)

test('why: a path by the name that a link gives it, with the process that touched it first', async () => {
  expect(await ask('why', '/lib/seen/')).toMatchObject({
    path: '/usr/lib/seen',
    chain: [{ kind: 'observed' }],
    touched: { first: { process: '/usr/bin/app', call: 'openat' } },
  })
  expect(await ask('why', '/etc/localtime')).toMatchObject({
    chain: [{ kind: 'rule', by: 'time-zone', why: expect.stringContaining('Local time') }],
  })
})

test('why-not, and what the rules did', async () => {
  expect(await ask('why-not', '/lib/unused')).toMatchObject({ path: '/usr/lib/unused', component: { name: 'tzdata' } })
  const rules = await client.request<{ name: string }[]>('GET', '/v1/blueprints/x/rules')
  expect(rules.find(({ name }) => name === 'time-zone')).toMatchObject({ fired: true, added: { files: 1, bytes: 1 } })
})

test('fat: nothing, of a bundle in which nothing is large, also where no run watched pages', async () => {
  expect(await client.request('GET', '/v1/blueprints/x/fat')).toEqual({ size: 2, files: [], groups: [] })
  await expect(client.request('GET', '/v1/blueprints/bare/fat')).rejects.toMatchObject({ code: 'NOT_COMPOSED' })
})

test('what cannot be answered is refused with what to ask instead', async () => {
  await expect(ask('why', '/usr/lib/unused')).rejects.toMatchObject({ code: 'NOT_SELECTED' })
  await expect(ask('why-not', '/usr/lib/seen')).rejects.toMatchObject({ code: 'IS_SELECTED' })
  await expect(ask('why', 'relative')).rejects.toMatchObject({ status: 400 })
  await expect(ask('why', '/x', 'bare')).rejects.toMatchObject({ code: 'NOT_COMPOSED' })
  await expect(ask('why', '/x', 'none')).rejects.toMatchObject({ code: 'BLUEPRINT_UNKNOWN' })
})
