import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silent } from '../../src/config/log.ts'
import { Admission } from '../../src/fleet/admission.ts'
import { Assignments } from '../../src/fleet/assignment.ts'
import { Boots } from '../../src/fleet/boots.ts'
import { Bundles } from '../../src/fleet/bundles.ts'
import { moveChannel } from '../../src/state/channels.ts'
import { updateNode } from '../../src/state/nodes.ts'
import { openState, type State } from '../../src/state/redis.ts'
import type { Digest } from '../../src/store/digest.ts'
import { HotBlobs } from '../../src/store/hot-blobs.ts'
import { Store } from '../../src/store/store.ts'
import { transferAccount } from '../../src/tftp/account.ts'
import { type NameSpace, tftpNames } from '../../src/tftp/names.ts'
import type { TftpFiles } from '../../src/tftp/server.ts'
import { loadTftpTemplates } from '../../src/tftp/templates.ts'
import { initramfs, kernel, putBundle, putForeign } from '../http/fixture.ts'

let directory: string
let state: State
let boots: Boots
let store: Store
let bundle: Digest
let bundles: Bundles
let space: NameSpace
let files: TftpFiles

const address = '10.77.0.9'

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'names-'))
  state = await openState({ directory }, silent)
  store = await Store.open(join(directory, 'store'))
  const settings = { unknown: { action: 'reject' }, fleet: { tries: 2, deadline: 600, heartbeat: 15 } } as const
  boots = await Boots.open(state.redis, settings, silent)
  bundle = await putBundle(store)
  await moveChannel(state.redis, { blueprint: 'apache', channel: 'stable', digest: bundle, reason: 'test' })
  await assign('52:54:00:aa:00:01', { blueprint: 'apache', channel: 'stable' })
  await assign('52:54:00:aa:00:02', { blueprint: 'redis', channel: 'stable' })
  bundles = new Bundles(store)
  space = {
    programs: new Map([['undionly.kpxe', Buffer.from('a boot program')]]),
    assignments: new Assignments(state.redis, settings, silent),
    boots,
    bundles,
    hot: new HotBlobs(store, 1024 * 1024),
    admission: undefined,
    templates: await loadTftpTemplates(),
    log: silent,
    server: 'http://10.77.0.1:8080',
  }
  files = tftpNames(space)
})
afterAll(async () => {
  await boots.close()
  await state.close()
  await rm(directory, { recursive: true, force: true })
})

const assign = (
  mac: string,
  assignment: { blueprint: string; channel: 'stable' } | { blueprint: string; bundle: Digest },
) => updateNode(state.redis, mac, () => ({ mac, groups: [], assignment }))

const fetched = async (name: string, from = address, served = files) => {
  const parts = await served(name, { address: from })
  return parts && Buffer.concat(parts)
}
/** With what differs from run to run in angle brackets. */
const text = async (name: string, served = files) =>
  String(await fetched(name, address, served))
    .replaceAll(bundle.slice(7), '<bundle>')
    .replaceAll(/[0-9a-f]{24}/g, '<boot>')

describe('what boot loaders read', () => {
  test.each([
    ['autoexec.ipxe', 'autoexec.ipxe'],
    ['grub-chain.cfg', 'grub/grub.cfg'],
    ['grub-boot.cfg', '/grub/grub.cfg-01-52-54-00-aa-00-01'],
    ['grub-boot.cfg', 'grub.cfg-01-52:54:00:AA:00:01'],
    ['grub-not-ready.cfg', 'grub/grub.cfg-01-52-54-00-aa-00-02'],
    ['grub-unassigned.cfg', 'grub/grub.cfg-01-52-54-00-aa-00-09'],
    ['pxelinux-boot.cfg', 'pxelinux.cfg/01-52-54-00-aa-00-01'],
    ['pxelinux-not-ready.cfg', 'pxelinux.cfg/01-52-54-00-aa-00-02'],
    ['pxelinux-unassigned.cfg', '/pxelinux.cfg/01-52-54-00-aa-00-09'],
  ])('%s, asked for as %s, is as it was approved', async (golden, name) => {
    await expect(await text(name)).toMatchFileSnapshot(new URL(`golden/${golden}`, import.meta.url).pathname)
  })

  test('a command line that GRUB would read as more than text is refused, and said on the screen', async () => {
    const digest = await putBundle(store, { blueprint: 'evil', cmdline: 'a $root' })
    await assign('52:54:00:aa:00:03', { blueprint: 'evil', bundle: digest })
    const config = await text('grub.cfg-01-52-54-00-aa-00-03')
    expect(config).toContain('SCRIPT_VALUE_UNSAFE')
    expect(config).not.toContain('$root')
  })
})

describe('what these name', () => {
  const named = async (pattern: RegExp, config: string) => pattern.exec(String(await fetched(config)))![1]!

  test('kernel and initramfs of a bundle are the blobs of the store, in memory once for all', async () => {
    const place = await named(/KERNEL (\S+)\/kernel/, 'pxelinux.cfg/01-52-54-00-aa-00-01')
    expect(await fetched(`${place}/kernel`)).toEqual(kernel)
    expect(await fetched(`${place}/initramfs`)).toEqual(initramfs)
    const [one, other] = [
      await files(`${place}/initramfs`, { address }),
      await files(`${place}/initramfs`, { address }),
    ]
    expect(one!.every((part, i) => part === other![i])).toBe(true)
  })

  test('the overlay is for the node that boots, and for no other', async () => {
    const overlay = await named(/initrd \S+ \(tftp\)\/(\S+);/, 'grub.cfg-01-52-54-00-aa-00-01')
    expect((await fetched(overlay))!.length).toBeGreaterThan(100)
    await expect(fetched(overlay.replace(/[0-9a-f]{24}$/, '0'.repeat(24)))).rejects.toMatchObject({
      code: 'BOOT_NOT_CURRENT',
    })
    boots.record('52:54:00:aa:00:07', { stage: 'ack', address: '10.77.0.7' })
    await expect(fetched(overlay, '10.77.0.7')).rejects.toMatchObject({ code: 'NODE_NOT_YOU' })
    await expect(fetched('grub.cfg-01-52-54-00-aa-00-01', '10.77.0.7')).rejects.toMatchObject({ code: 'NODE_NOT_YOU' })
  })

  test.each([
    '../../etc/passwd',
    'templates/tftp/grub-boot.cfg',
    'pxelinux.cfg/default',
    `bundle/${'0'.repeat(63)}/kernel`,
    '',
  ])('%j is no file', async (name) => {
    expect(await fetched(name)).toBeUndefined()
  })
})

describe('when one node is admitted at a time', () => {
  const next = '52:54:00:aa:00:04'
  const configOf = (mac: string) => `pxelinux.cfg/01-${mac.replaceAll(':', '-')}`
  const server = () => {
    const admission = new Admission(1, () => 0.5)
    const served = tftpNames({ ...space, admission })
    const { onEvent, onMoving } = transferAccount({ boots, bundles, admission })
    const sent = (file: string, client: string) => onEvent({ type: 'sent', client, file, bytes: 1, at: Date.now() })
    return { admission, served, sent, onMoving }
  }
  beforeAll(() => assign(next, { blueprint: 'apache', channel: 'stable' }))

  test('the others are told their place and a time, and go when it has its overlay', async () => {
    const { admission, served, sent } = server()
    const config = String(await fetched('pxelinux.cfg/01-52-54-00-aa-00-01', address, served))
    for (const [golden, name] of [
      ['pxelinux-waiting.cfg', configOf(next)],
      ['grub-waiting.cfg', `grub/grub.cfg-01-${next.replaceAll(':', '-')}`],
    ] as const) {
      const path = new URL(`golden/${golden}`, import.meta.url).pathname
      await expect(await text(name, served)).toMatchFileSnapshot(path)
    }
    sent(/(bundle\S+\/initramfs),/.exec(config)![1]!, address)
    await expect.poll(() => text(configOf(next), served)).toContain('waits for its turn')
    expect(admission).toMatchObject({ admitted: 1, waiting: 1 })
    sent(/overlay\/\S+/.exec(config)![0], address)
    expect(await text(configOf(next), served)).toContain('KERNEL')
    expect(admission).toMatchObject({ admitted: 1, waiting: 0 })
  })

  test('a foreign bundle is delivered with its initrds, and a transfer that moves keeps its place', async () => {
    const foreign = await putForeign(store, 'auto=true')
    const mac = '52:54:00:aa:00:05'
    await assign(mac, { blueprint: 'di', bundle: foreign })
    boots.record(mac, { stage: 'ack', address: '10.77.0.5' })
    const { admission, served, sent, onMoving } = server()
    const config = String(await fetched(configOf(mac), '10.77.0.5', served))
    const since = Date.now()
    admission.moving(mac, since - 60_000)
    onMoving('10.77.0.5')
    expect(admission.ask(next, since + 40_000)).toBeDefined()
    sent(/INITRD (\S+)/.exec(config)![1]!, '10.77.0.5')
    await expect.poll(() => admission.admitted).toBe(0)
    await expect.poll(() => boots.underWay(mac)).toBeUndefined()
  })
})
