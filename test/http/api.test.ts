import { existsSync, statSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BootloomError } from '../../src/config/errors.ts'
import { silent } from '../../src/config/log.ts'
import { streamJob } from '../../src/http/api/stream-job.ts'
import { ApiClient } from '../../src/http/api-client.ts'
import { type ApiServer, buildApi, listenApi } from '../../src/http/api-server.ts'
import { updateBlueprint } from '../../src/state/blueprints.ts'
import { putBundle as knowBundle } from '../../src/state/bundles.ts'
import { type Digest, digestOf } from '../../src/store/digest.ts'
import { type Fixture, mac, putBundle, startFixture } from './fixture.ts'

let fixture: Fixture
let api: ApiServer
let client: ApiClient
let bundle: Digest
let newer: Digest
let aborted = false

const build = () =>
  buildApi({
    ...fixture,
    log: silent,
    routes: [
      (app) => {
        app.post<{ Body: { fail?: boolean } }>('/v1/test/job', async ({ body }, reply) =>
          streamJob(reply, async (progress) => {
            progress({ step: 'weave', fraction: 0.5 })
            if (body.fail) throw new BootloomError('DISK_FULL', 'no space')
            return { done: true }
          }),
        )
        app.post('/v1/test/endless', async (_request, reply) =>
          streamJob(reply, async (progress, signal) => {
            progress({ step: 'wait' })
            signal.addEventListener('abort', () => {
              aborted = true
            })
            while (!signal.aborted) await sleep(10)
          }),
        )
      },
    ],
  })

beforeAll(async () => {
  fixture = await startFixture()
  bundle = await putBundle(fixture.store)
  newer = await putBundle(fixture.store, { cmdline: 'quiet' })
  const { redis } = fixture.state
  await updateBlueprint(redis, 'apache', () => ({
    name: 'apache',
    yaml: 'name: apache\n',
    directory: '/srv',
    digest: digestOf('apache'),
    updatedAt: 1,
  }))
  await know(bundle, 'apache')
  api = await listenApi(await build(), join(fixture.directory, 'api.sock'))
  client = new ApiClient(api.socket)
})
afterAll(async () => {
  await client.close()
  await api.close()
  await fixture.close()
})

function know(digest: Digest, blueprint: string) {
  const sizes = { files: 3, kernelBytes: 5000, initramfsBytes: 3504, rawBytes: 1, fullStackBytes: 2 }
  return knowBundle(fixture.state.redis, { digest, blueprint, level: 'fast', createdAt: 1, ...sizes })
}

const code = (expected: string) => expect.objectContaining({ code: expected })

describe('nodes', () => {
  test('one line assigns a node; naming more later leaves the rest as it is', async () => {
    expect(await client.request('PUT', '/v1/nodes/52-54-00-AA-00-01', { blueprint: 'apache' })).toEqual({
      mac,
      groups: [],
      assignment: { blueprint: 'apache', channel: 'stable' },
    })
    await client.request('PUT', `/v1/nodes/${mac}`, { hostname: 'web1', groups: ['web'] })
    await client.request('PUT', `/v1/nodes/${mac}`, { channel: 'candidate' })
    const { node, assignment, answer } = await client.request<Record<string, unknown>>('GET', `/v1/nodes/${mac}`)
    expect(node).toMatchObject({ hostname: 'web1', groups: ['web'] })
    expect(assignment).toEqual({ blueprint: 'apache', channel: 'candidate', via: 'node' })
    expect(answer).toMatchObject({ action: 'not-ready' })
  })

  test('a bundle is pinned by the first digits of its digest', async () => {
    const short = bundle.slice('sha256:'.length, 'sha256:'.length + 12)
    const node = await client.request('PUT', '/v1/nodes/525400aa0002', { bundle: short })
    expect(node).toMatchObject({ assignment: { blueprint: 'apache', bundle } })
    await expect(client.request('PUT', '/v1/nodes/525400aa0002', { bundle: 'ffff' })).rejects.toThrow(
      code('BUNDLE_UNKNOWN'),
    )
  })

  test('a blueprint that is not applied is refused, with the name that was meant', async () => {
    const refused = client.request('PUT', `/v1/nodes/${mac}`, { blueprint: 'apachee' })
    await expect(refused).rejects.toMatchObject({ code: 'BLUEPRINT_UNKNOWN', hint: 'Did you mean apache?', exit: 1 })
  })

  test.each([
    ['PUT', '/v1/nodes/nonsense', {}, 'MAC_INVALID'],
    ['PUT', `/v1/nodes/${mac}`, { hostname: '-x' }, 'USAGE'],
    ['PUT', `/v1/nodes/${mac}`, { blueprnt: 'apache' }, 'USAGE'],
    ['GET', '/v1/nodes/00:00:00:00:00:01', undefined, 'NODE_UNKNOWN'],
    ['DELETE', '/v1/nodes/00:00:00:00:00:01', undefined, 'NODE_UNKNOWN'],
    ['GET', '/v1/nothing', undefined, 'ROUTE_UNKNOWN'],
    ['DELETE', '/v1/groups/none', undefined, 'GROUP_UNKNOWN'],
    ['GET', '/v1/channels/nginx', undefined, 'BLUEPRINT_UNKNOWN'],
  ] as const)('%s %s %j is %s', async (method, path, body, expected) => {
    await expect(client.request(method, path, body)).rejects.toThrow(code(expected))
  })

  test('a machine that was merely seen is listed, and its boots are shown', async () => {
    const seen = '52:54:00:aa:00:0f'
    await fixture.get(`/ipxe?mac=${seen}&uuid=12345678-1234-1234-1234-123456789ABC&serial=S1`)
    await fixture.boots.flush()
    const nodes = await client.request<{ mac: string }[]>('GET', '/v1/nodes')
    expect(nodes.find((node) => node.mac === seen)).toMatchObject({
      uuid: '12345678-1234-1234-1234-123456789abc',
      serial: 'S1',
      groups: [],
      firstSeen: expect.any(Number),
    })
    expect(await client.request('GET', `/v1/nodes/${seen}`)).toMatchObject({
      assignment: null,
      boots: [{ stages: [{ stage: 'script', detail: 'unassigned', since: expect.any(Number) }] }],
    })
    await client.request('DELETE', `/v1/nodes/${seen}`)
  })
})

describe('channels', () => {
  const path = '/v1/channels/apache/stable'
  test('move, refuse to move from elsewhere than expected, and roll back step by step', async () => {
    expect(await client.request('POST', path, { digest: bundle, expected: null })).toMatchObject({ moved: true })
    await expect(client.request('POST', path, { digest: newer, expected: newer })).rejects.toThrow(
      code('CHANNEL_MOVED'),
    )
    await client.request('POST', path, { digest: newer, expected: bundle, reason: 'security' })
    expect(await client.request('POST', path, { digest: newer })).toMatchObject({ moved: false })
    expect(await client.request('POST', `${path}/rollback`)).toMatchObject({ digest: bundle })
    await expect(client.request('POST', `${path}/rollback`)).rejects.toThrow(code('CHANNEL_NO_PREVIOUS'))
    expect(await client.request('GET', '/v1/channels/apache')).toMatchObject({
      stable: {
        digest: bundle,
        history: [
          { from: newer, to: bundle, rollback: true },
          { from: bundle, to: newer, reason: 'security' },
          { from: null, to: bundle },
        ],
      },
    })
  })

  test('roll back to a bundle by the first digits of its digest, and never to one of another blueprint', async () => {
    await client.request('POST', path, { digest: newer })
    await client.request('POST', path, { digest: bundle })
    await know(newer, 'apache')
    const digits = newer.slice('sha256:'.length).slice(0, 12)
    expect(await client.request('POST', `${path}/rollback`, { to: digits })).toMatchObject({ digest: newer })
    await expect(client.request('POST', `${path}/rollback`, { to: 'ffffffffff' })).rejects.toThrow(
      code('BUNDLE_UNKNOWN'),
    )
    const other = await putBundle(fixture.store, { blueprint: 'redis' })
    await know(other, 'redis')
    await expect(client.request('POST', `${path}/rollback`, { to: other })).rejects.toThrow(code('USAGE'))
    await client.request('POST', path, { digest: bundle })
  })

  test('a node that did not come up is told apart, and releasing its channel lets it try again', async () => {
    const fallen = '52:54:00:aa:00:1f'
    await client.request('PUT', `/v1/nodes/${fallen}`, { blueprint: 'apache' })
    const power = async () => {
      const script = await (await fixture.get(`/ipxe?mac=${fallen}`)).text()
      const boot = /bootloom\.boot=(\w+)/.exec(script)![1]!
      const given = /bootloom\.bundle=(\S+)/.exec(script)![1]!
      await (await fixture.get(`/overlay?mac=${fallen}&boot=${boot}`)).arrayBuffer()
      await fixture.boots.flush()
      return { given, boot }
    }
    await fixture.boots.report(fallen, (await power()).boot, { stage: 'ready' })
    await client.request('POST', path, { digest: newer })
    const row = async () => {
      await fixture.boots.flush()
      const nodes = await client.request<{ mac: string; currency: unknown }[]>('GET', '/v1/nodes')
      return nodes.find((node) => node.mac === fallen)!.currency
    }
    expect(await row()).toMatchObject({ bundle: newer, running: { bundle }, stale: true, gaveUp: false, held: false })
    expect([(await power()).given, (await power()).given, (await power()).given]).toEqual([newer, newer, bundle])
    expect(await row()).toMatchObject({ bundle: newer, running: { bundle }, stale: true, gaveUp: true, held: true })
    expect(await client.request('GET', `/v1/nodes/${fallen}`)).toMatchObject({
      answer: { bundle, gaveUp: newer },
      hold: { bundle: newer, mac: fallen },
      boots: [{ bundle, gaveUp: newer }, { bundle: newer }, { bundle: newer }, { outcome: 'ready' }],
    })
    const channels = await client.request<{ blueprint: string }[]>('GET', '/v1/channels')
    expect(channels.find(({ blueprint }) => blueprint === 'apache')).toMatchObject({
      stable: newer,
      hold: { bundle: newer },
    })
    expect(await client.request('POST', '/v1/channels/apache/release')).toMatchObject({ released: true })
    expect((await power()).given).toBe(newer)
    await client.request('DELETE', `/v1/nodes/${fallen}`)
    await client.request('POST', path, { digest: bundle })
  })

  test("another blueprint's bundle, or none, does not go there", async () => {
    const other = await putBundle(fixture.store, { blueprint: 'redis' })
    await expect(client.request('POST', path, { digest: other })).rejects.toThrow(code('USAGE'))
    await expect(client.request('POST', path, { digest: digestOf('x') })).rejects.toThrow(code('BUNDLE_UNKNOWN'))
  })
})

test('groups are set, listed and forgotten', async () => {
  await client.request('PUT', '/v1/groups/web', { blueprint: 'apache' })
  const group = { name: 'web', assignment: { blueprint: 'apache', channel: 'stable' } }
  expect(await client.request('GET', '/v1/groups')).toEqual([group])
  await client.request('DELETE', '/v1/groups/web')
  expect(await client.request('GET', '/v1/groups')).toEqual([])
})

test('events are followed as they happen', async () => {
  const seen: unknown[] = []
  const stop = new AbortController()
  const following = client.follow('/v1/events?follow=1', (event) => seen.push(event), stop.signal)
  await sleep(200)
  await client.request('PUT', '/v1/groups/followed', { blueprint: 'apache' })
  for (let i = 0; i < 100 && seen.length === 0; i++) await sleep(20)
  stop.abort()
  await following
  expect(seen).toEqual([expect.objectContaining({ event: 'group-set', name: 'followed', at: expect.any(Number) })])
  const listed = await client.request<unknown[]>('GET', '/v1/events?count=1')
  expect(listed).toEqual(seen)
})

describe('long work', () => {
  test('tells its progress, then its result', async () => {
    const steps: unknown[] = []
    const result = await client.job('POST', '/v1/test/job', {}, (step) => steps.push(step))
    expect(result).toEqual({ done: true })
    expect(steps).toEqual([{ step: 'weave', fraction: 0.5 }])
  })

  test('tells its error as the error that it was', async () => {
    await expect(client.job('POST', '/v1/test/job', { fail: true }, () => {})).rejects.toThrow(code('DISK_FULL'))
  })

  test('is stopped when its client goes away', async () => {
    const stop = new AbortController()
    const work = client.job('POST', '/v1/test/endless', {}, () => stop.abort(), stop.signal)
    await expect(work).rejects.toThrow()
    for (let i = 0; i < 100 && !aborted; i++) await sleep(10)
    expect(aborted).toBe(true)
  })
})

describe('the socket', () => {
  test('is for its owner alone, and leaves no directory behind', () => {
    expect(statSync(api.socket).mode & 0o777).toBe(0o600)
  })

  test('of a live server is left alone, of a killed one replaced', async () => {
    await expect(listenApi(await build(), api.socket)).rejects.toThrow(code('API_IN_USE'))
    const stale = join(fixture.directory, 'stale.sock')
    writeFileSync(stale, '')
    const second = await listenApi(await build(), stale)
    const other = new ApiClient(stale)
    expect(await other.request('GET', '/v1/groups')).toBeInstanceOf(Array)
    await other.close()
    await second.close()
    expect(existsSync(stale)).toBe(false)
  })

  test('without a server is an error that says so', async () => {
    const nobody = new ApiClient(join(fixture.directory, 'nobody.sock'))
    await expect(nobody.request('GET', '/v1/nodes')).rejects.toThrow(code('SERVER_NOT_RUNNING'))
  })
})

test('on loopback only 127.0.0.1 and localhost are answered, and no page from elsewhere', async () => {
  const port = await freePort()
  const server = await listenApi(await build(), join(fixture.directory, 'l.sock'), port)
  try {
    expect(await statusWith(port, { host: `127.0.0.1:${port}` })).toBe(200)
    expect(await statusWith(port, { host: 'evil.example' })).toBe(400)
    expect(await statusWith(port, { host: `localhost:${port}`, origin: 'https://evil.example' })).toBe(400)
  } finally {
    await server.close()
  }
})

test('the listener for nodes has nothing of the API', async () => {
  expect((await fixture.get('/v1/nodes')).status).toBe(404)
  expect((await fixture.get('/healthz')).status).toBe(200)
  expect(await (await fixture.get('/readyz')).json()).toEqual({ redis: 'ok', store: 'ok' })
})

function statusWith(port: number, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    request({ port, path: '/v1/groups', headers }, (answer) => resolve(answer.resume().statusCode!))
      .on('error', reject)
      .end()
  })
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
