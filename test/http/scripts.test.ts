import { rm } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { moveChannel } from '../../src/state/channels.ts'
import { updateNode } from '../../src/state/nodes.ts'
import type { Digest } from '../../src/store/digest.ts'
import { type Fixture, mac, putBundle, startFixture } from './fixture.ts'

let fixture: Fixture
let bundle: Digest

beforeAll(async () => {
  fixture = await startFixture()
  bundle = await putBundle(fixture.store)
  const { redis } = fixture.state
  await moveChannel(redis, { blueprint: 'apache', channel: 'stable', digest: bundle, reason: 'test' })
  await assign(mac, 'apache')
  await assign('52:54:00:aa:00:02', 'redis')
})
afterAll(() => fixture.close())

const assign = (address: string, blueprint: string) =>
  updateNode(fixture.state.redis, address, () => ({
    mac: address,
    groups: [],
    assignment: { blueprint, channel: 'stable' },
  }))

/** The script with what differs from run to run in angle brackets. */
async function scriptAt(path: string): Promise<string> {
  const answer = await fixture.get(path)
  expect(answer.status).toBe(200)
  const text = await answer.text()
  expect(Number(answer.headers.get('content-length'))).toBe(Buffer.byteLength(text))
  return text
    .replaceAll(fixture.server.url, 'http://<server>')
    .replaceAll(bundle, '<bundle>')
    .replaceAll(/boot=[0-9a-f]{24}/g, 'boot=<boot>')
}

describe('the whole script', () => {
  test.each([
    ['chain', '/boot.ipxe'],
    ['boot', `/ipxe?mac=${mac}`],
    ['unassigned', '/ipxe?mac=52-54-00-AA-00-09&uuid=x'],
    ['not-ready', '/ipxe?mac=525400aa0002'],
    ['error', '/ipxe?mac=$%7Bnet0/mac%7D'],
  ])('%s is as it was approved', async (name, path) => {
    await expect(await scriptAt(path)).toMatchFileSnapshot(new URL(`golden/${name}.ipxe`, import.meta.url).pathname)
  })

  test('one that names its MAC is asked who it is until it has said so, and then has its script at once', async () => {
    const address = '52:54:00:aa:00:07'
    const begin = () => scriptAt(`/boot.ipxe?mac=${address}`)
    const chain = await scriptAt('/boot.ipxe')
    expect(await begin()).toBe(chain)
    // It did not say, which is no answer.
    await scriptAt(`/ipxe?mac=${address}`)
    await fixture.boots.flush()
    expect(await begin()).toBe(chain)
    await scriptAt(`/ipxe?mac=${address}&uuid=4c4c4544-0042-3510-8056-b4c04f4d3332&serial=`)
    await fixture.boots.flush()
    expect(await begin()).toBe(await scriptAt(`/ipxe?mac=${address}`))
    expect(await scriptAt('/boot.ipxe')).toBe(chain)
  })

  test('local is as it was approved', async () => {
    const local = await startFixture({ unknown: { action: 'local' } })
    try {
      const script = await (await local.get(`/ipxe?mac=${mac}`)).text()
      await expect(script).toMatchFileSnapshot(new URL('golden/local.ipxe', import.meta.url).pathname)
    } finally {
      await local.close()
    }
  })
})

describe('a script never carries what iPXE would run', () => {
  test.each(['a $\u007bnet0/mac}', 'a || shell', 'a && shell', 'a ; shell', 'a #b', 'a \\ b', 'a\nshell'])(
    'from a command line with %j: an error script says so instead',
    async (cmdline) => {
      const digest = await putBundle(fixture.store, { blueprint: 'evil', cmdline })
      const address = '52:54:00:aa:00:03'
      await updateNode(fixture.state.redis, address, () => ({
        mac: address,
        groups: [],
        assignment: { blueprint: 'evil', bundle: digest },
      }))
      const answer = await fixture.get(`/ipxe?mac=${address}`)
      expect(answer.headers.get('x-bootloom-error')).toBe('SCRIPT_VALUE_UNSAFE')
      const text = await answer.text()
      expect(text).not.toContain('shell')
      expect(text).toMatch(/^#!ipxe\n/)
    },
  )

  test('from a MAC in the query', async () => {
    const text = await (await fixture.get('/ipxe?mac=%0Ashell%0A')).text()
    expect(text.split('\n')).not.toContain('shell')
    expect(text).toContain('MAC_INVALID')
  })
})

test('a bundle with a missing part gives a script that shows the error', async () => {
  const digest = await putBundle(fixture.store, { blueprint: 'torn', parts: [Buffer.from('only here')] })
  const [, segment] = (await fixture.store.readJson<{ layers: { digest: Digest }[] }>(digest)).layers
  await rm(fixture.store.path(segment!.digest))
  const address = '52:54:00:aa:00:04'
  const assignment = { blueprint: 'torn', bundle: digest }
  await updateNode(fixture.state.redis, address, () => ({ mac: address, groups: [], assignment }))
  const answer = await fixture.get(`/ipxe?mac=${address}`)
  expect(answer.status).toBe(200)
  expect(await answer.text()).toContain('echo BUNDLE_BROKEN')
})

test('with Redis killed a known node still gets its script', async () => {
  expect(await scriptAt(`/ipxe?mac=${mac}`)).toContain('kernel --name')
  const pid = Number(/process_id:(\d+)/.exec(await fixture.state.redis.info('server'))![1])
  process.kill(pid, 'SIGKILL')
  expect(await scriptAt(`/ipxe?mac=${mac}`)).toContain('kernel --name')
})
