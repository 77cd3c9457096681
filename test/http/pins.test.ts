import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { silent } from '../../src/config/log.ts'
import { settingsSchema } from '../../src/config/settings.ts'
import { ApiClient } from '../../src/http/api-client.ts'
import { startControl } from '../../src/http/control.ts'
import type { Pin } from '../../src/state/pins.ts'
import { bootloom } from '../cli/launcher.ts'

let state: string
let control: { close(): Promise<void> }
let client: ApiClient
const yaml = 'name: shop\nstack: [{ deb: { packages: [app] } }]\nstart: { command: [/app] }\nprobe: { tcp: 80 }\n'
const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10)
const good = { version: '3.0.20-1', until: tomorrow, reason: 'T-17' }
const path = '/v1/pins/shop/libssl3'

beforeAll(async () => {
  state = await mkdtemp(join(tmpdir(), 'pin-'))
  control = await startControl(settingsSchema.parse({ state }), silent)
  client = new ApiClient(join(state, 'api.sock'))
  await client.request('POST', '/v1/blueprints', { yaml, directory: '/' })
  await client.request('PUT', '/v1/nodes/52:54:00:00:00:01', { blueprint: 'shop' })
})
afterAll(async () => {
  await client.close()
  await control.close()
  await rm(state, { recursive: true, force: true })
})

test('a pin is set with a date and a reason, is shown with its age where nodes are listed, and is removed', async () => {
  const set = await client.request<Pin>('PUT', path, good)
  expect(set).toMatchObject({ blueprint: 'shop', package: 'libssl3', version: '3.0.20-1', reason: 'T-17' })
  // It holds to the end of its last day.
  expect(set.until).toBe(Date.parse(tomorrow) + 86_400_000)
  expect(await client.request('GET', '/v1/nodes')).toMatchObject([{ pins: [{ package: 'libssl3' }] }])
  const { stdout: nodes } = await bootloom(['--state', state, 'node', 'list'])
  expect(nodes).toMatch(new RegExp(`libssl3 3\\.0\\.20-1 for \\d+ s, until ${tomorrow}: T-17`))
  const { stdout: pins } = await bootloom(['--state', state, 'pin', 'list'])
  expect(pins).toContain(tomorrow)
  await client.request('DELETE', path)
  expect(await client.request('GET', '/v1/pins')).toEqual([])
  await expect(client.request('DELETE', path)).rejects.toMatchObject({ code: 'PIN_UNKNOWN' })
})

test.each([
  ['of the past', path, { ...good, until: '2020-01-01' }, 'USAGE'],
  ['without a reason', path, { ...good, reason: ' ' }, 'USAGE'],
  ['to what is no version', path, { ...good, version: '1 2' }, 'USAGE'],
  ['on what is no package', '/v1/pins/shop/-x', good, 'USAGE'],
  ['of a blueprint that nobody applied', '/v1/pins/shp/libssl3', good, 'BLUEPRINT_UNKNOWN'],
])('a pin %s is refused', async (_name, where, body, code) => {
  await expect(client.request('PUT', where, body)).rejects.toMatchObject({ code })
})

test('with no bundle in use, nothing is affected, and the command says so', async () => {
  const { stdout, exitCode } = await bootloom(['--state', state, 'impact', 'libssl3=1'])
  expect({ stdout, exitCode }).toMatchObject({ exitCode: 1 })
  const { stdout: all } = await bootloom(['--state', state, 'impact'])
  expect(all).toContain('No bundle is in use yet.')
})
