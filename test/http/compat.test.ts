import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bootsOf } from '../../src/state/boots.ts'
import { recordSighting, updateNode } from '../../src/state/nodes.ts'
import { putUserData } from '../../src/state/user-data.ts'
import type { Digest } from '../../src/store/digest.ts'
import { type Fixture, mac, putBundle, putForeign, startFixture } from './fixture.ts'

/** What other boot servers' clients ask, answered in their shapes. */
let fixture: Fixture
let bundle: Digest
let foreign: Digest
const other = '52:54:00:aa:00:02'
const uuid = '4c4c4544-0051-3010-8052-b4c04f4c4b31'
const holders = new Map([['127.0.0.1', mac]])

beforeAll(async () => {
  fixture = await startFixture({ holders })
  bundle = await putBundle(fixture.store)
  foreign = await putForeign(fixture.store, 'auto=true url={{server}}/x mac={{mac}} name={{hostname}}')
  const { redis } = fixture.state
  const assignment = { blueprint: 'apache', bundle }
  await updateNode(redis, mac, () => ({ mac, hostname: 'web1', groups: ['web'], assignment }))
  await recordSighting(redis, mac, Date.now(), { uuid })
})
afterAll(() => fixture.close())

/** With what differs from run to run in angle brackets. */
async function textAt(path: string): Promise<string> {
  const answer = await fixture.get(path)
  expect(answer.status).toBe(200)
  expect(answer.headers.get('cache-control')).toBe('no-store')
  return (await answer.text())
    .replaceAll(fixture.server.url, 'http://<server>')
    .replaceAll(bundle, '<bundle>')
    .replaceAll(foreign, '<bundle>')
    .replaceAll(/boot=[0-9a-f]{24}/g, 'boot=<boot>')
}

const golden = (name: string) => new URL(`golden/${name}`, import.meta.url).pathname

test('Matchbox: /ipxe with its selectors gives the script, /metadata gives lines of KEY=VALUE', async () => {
  expect(await textAt(`/ipxe?uuid=${uuid}&mac=${mac.replaceAll(':', '-')}&domain=&hostname=&serial=`)).toContain(
    '/kernel',
  )
  await expect(await textAt(`/metadata?mac=${mac}&uuid=${uuid}`)).toMatchFileSnapshot(golden('matchbox-metadata'))
})

test('Pixiecore: /v1/boot/MAC gives kernel, initrds and command line, and 404 for who is to be left alone', async () => {
  const json = JSON.parse(await textAt(`/v1/boot/${mac}`))
  await expect(`${JSON.stringify(json, undefined, 2)}\n`).toMatchFileSnapshot(golden('pixiecore-boot.json'))
  holders.set('127.0.0.1', other)
  expect((await fixture.get(`/v1/boot/${other}`)).status).toBe(404)
  holders.set('127.0.0.1', mac)
})

describe('NoCloud', () => {
  test.each(['meta-data', 'user-data', 'vendor-data', 'network-config'])('%s is as it was approved', async (name) => {
    await putUserData(fixture.state.redis, { group: 'web' }, '#cloud-config\npackages: [curl]\n')
    await expect(await textAt(`/nocloud/${mac}/${name}`)).toMatchFileSnapshot(golden(`nocloud-${name}`))
    expect(await textAt(`/nocloud/${uuid}/${name}`)).toBe(await textAt(`/nocloud/${mac}/${name}`))
  })

  test("a node's own user data stands over that of its groups, and /generic and /ignition give the same", async () => {
    await putUserData(fixture.state.redis, { node: mac }, '{"ignition":{"version":"3.4.0"}}')
    for (const path of [`/nocloud/${mac}/user-data`, `/generic?mac=${mac}`, `/ignition?mac=${mac}`]) {
      expect(await textAt(path)).toBe('{"ignition":{"version":"3.4.0"}}')
    }
  })

  test("another node's user data is refused", async () => {
    holders.set('127.0.0.1', other)
    for (const path of [`/nocloud/${mac}/user-data`, `/nocloud/${uuid}/user-data`, `/generic?mac=${mac}`]) {
      const answer = await fixture.get(path)
      expect([answer.status, ((await answer.json()) as { error: { code: string } }).error.code]).toEqual([
        403,
        'NODE_NOT_YOU',
      ])
    }
    holders.set('127.0.0.1', mac)
  })
})

describe('a foreign bundle', () => {
  beforeAll(async () => {
    await updateNode(fixture.state.redis, mac, (node) => ({
      ...node!,
      assignment: { blueprint: 'di', bundle: foreign },
    }))
  })

  test('its script has kernel, initrds and the command line filled in, and no overlay', async () => {
    await expect(await textAt(`/ipxe?mac=${mac}`)).toMatchFileSnapshot(golden('foreign.ipxe'))
    expect(JSON.parse(await textAt(`/v1/boot/${mac}`))).toMatchObject({
      initrd: [`http://<server>/bundle/<bundle>/initramfs?mac=${mac}&boot=<boot>`],
      cmdline: `auto=true url=http://<server>/x mac=${mac} name=web1`,
    })
  })

  test('its initrds follow each other at multiples of four, and its boot ends as delivered', async () => {
    const script = await (await fixture.get(`/ipxe?mac=${mac}`)).text()
    const boot = /boot=([0-9a-f]{24})/.exec(script)![1]!
    const of = `mac=${mac}&boot=${boot}`
    await (await fixture.get(`/bundle/${foreign}/kernel?${of}`)).arrayBuffer()
    const initrd = Buffer.from(await (await fixture.get(`/bundle/${foreign}/initramfs?${of}`)).arrayBuffer())
    expect(initrd.toString('latin1')).toBe('first\0\0\0second')
    await fixture.boots.flush()
    await expect.poll(async () => (await bootsOf(fixture.state.redis, mac))[0]).toMatchObject({ outcome: 'delivered' })
    expect((await fixture.get(`/overlay?${of}`)).status).toBe(403)
  })

  test('a place in its command line that the node has no value for is told on its screen', async () => {
    await updateNode(fixture.state.redis, mac, (node) => ({ mac, groups: node!.groups, assignment: node!.assignment }))
    const script = await (await fixture.get(`/ipxe?mac=${mac}`)).text()
    expect(script).toContain('VALUE_UNFIT')
  })
})
