import { afterAll, beforeAll, expect, test } from 'vitest'
import { silent } from '../../src/config/log.ts'
import { Assignments } from '../../src/fleet/assignment.ts'
import { Bundles } from '../../src/fleet/bundles.ts'
import { moveChannel } from '../../src/state/channels.ts'
import { updateNode } from '../../src/state/nodes.ts'
import { recordReady } from '../../src/state/tries.ts'
import type { Digest } from '../../src/store/digest.ts'
import { HotBlobs } from '../../src/store/hot-blobs.ts'
import { transferAccount } from '../../src/tftp/account.ts'
import { tftpNames } from '../../src/tftp/names.ts'
import { loadTftpTemplates } from '../../src/tftp/templates.ts'
import { type Fixture, putBundle, startFixture } from '../http/fixture.ts'

let fixture: Fixture
let good: Digest
let bad: Digest
let fetchByTftp: (name: string) => Promise<string>

beforeAll(async () => {
  fixture = await startFixture()
  const { store, state, boots, settings, server } = fixture
  good = await putBundle(store)
  bad = await putBundle(store, { cmdline: 'bad' })
  await moveChannel(state.redis, { blueprint: 'apache', channel: 'stable', digest: bad, reason: 'test' })
  const other = { mac: '52:54:00:ad:00:ff', blueprint: 'apache', bundle: good, boot: 'other' }
  await recordReady(state.redis, other, 1)
  const bundles = new Bundles(store)
  const space = {
    programs: new Map<string, Buffer>(),
    assignments: new Assignments(state.redis, settings, silent),
    boots,
    bundles,
    hot: new HotBlobs(store, 1024 * 1024),
    admission: undefined,
    templates: await loadTftpTemplates(),
    log: silent,
    server: server.url,
  }
  const account = transferAccount(space)
  const files = tftpNames(space)
  fetchByTftp = async (name) => {
    const bytes = Buffer.concat((await files(name, { address: '10.77.0.9' }))!)
    account.onEvent({ type: 'sent', client: '10.77.0.9', file: name, bytes: bytes.length, at: 0 })
    return bytes.toString()
  }
})
afterAll(() => fixture.close())

const overHttp = async (path: string) => (await fixture.get(path)).text()
const hyphened = (mac: string) => mac.replaceAll(':', '-')

/** What a road asks for its script, and how it fetches the overlay of the boot that the script names. */
const roads = {
  iPXE: {
    script: (mac: string) => overHttp(`/ipxe?mac=${mac}`),
    overlay: (mac: string, boot: string) => overHttp(`/overlay?mac=${mac}&boot=${boot}`),
  },
  Pixiecore: {
    script: (mac: string) => overHttp(`/v1/boot/${mac}`),
    overlay: (mac: string, boot: string) => overHttp(`/overlay?mac=${mac}&boot=${boot}`),
  },
  GRUB: {
    script: (mac: string) => fetchByTftp(`grub/grub.cfg-01-${hyphened(mac)}`),
    overlay: (mac: string, boot: string) => fetchByTftp(`overlay/${hyphened(mac)}/${boot}`),
  },
  PXELINUX: {
    script: (mac: string) => fetchByTftp(`pxelinux.cfg/01-${hyphened(mac)}`),
    overlay: (mac: string, boot: string) => fetchByTftp(`overlay/${hyphened(mac)}/${boot}`),
  },
}

test.each(Object.entries(roads))('by %s a node falls back, too', async (name, { script, overlay }) => {
  const mac = `52:54:00:ad:00:0${Object.keys(roads).indexOf(name)}`
  await updateNode(fixture.state.redis, mac, () => ({
    mac,
    groups: [],
    assignment: { blueprint: 'apache', channel: 'stable' },
  }))
  const given: string[] = []
  for (let i = 0; i < 3; i++) {
    const text = await script(mac)
    given.push(/bootloom\.bundle=(sha256:[0-9a-f]+)/.exec(text)![1]!)
    await overlay(mac, /bootloom\.boot=([0-9a-f]+)/.exec(text)![1]!)
    await new Promise(setImmediate)
    await fixture.boots.flush()
  }
  expect(given).toEqual([bad, bad, good])
})
