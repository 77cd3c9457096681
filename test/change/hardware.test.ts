import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type Context, openContext } from '../../src/change/context.ts'
import { HardwareWatch } from '../../src/change/hardware-watch.ts'
import { composeBlueprint } from '../../src/change/weave.ts'
import { Workshop } from '../../src/change/workshop.ts'
import type { BundleConfig, BundleManifest } from '../../src/compose/bundle-format.ts'
import { readCpio } from '../../src/compose/cpio-reader.ts'
import { silent } from '../../src/config/log.ts'
import { settingsSchema } from '../../src/config/settings.ts'
import { contentOf } from '../../src/fleet/stale.ts'
import { channelPointers } from '../../src/state/channels.ts'
import { latestEvents } from '../../src/state/events.ts'
import { hardwareNews, putHardware } from '../../src/state/hardware.ts'
import { updateNode } from '../../src/state/nodes.ts'
import { componentOf } from '../compose/stack.ts'
import { smallBlueprint, workOf } from './small-blueprint.ts'

const release = '6.1.0-1-cloud-amd64'
const card = 'pci:v0000AAAAd0000BBBBsv00000000sd00000000bc02sc00i00'
const disk = 'pci:v0000AAAAd0000DDDDsv00000000sd00000000bc01sc06i01'
const mac = '52:54:00:aa:00:07'
/** Its blueprint cannot be woven. */
const lost = '52:54:00:aa:00:08'

let directory: string
let context: Context
let workshop: Workshop

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'h-'))
  context = await openContext(settingsSchema.parse({ state: directory }), silent)
  workshop = new Workshop(context.settings, silent)
})
afterAll(async () => {
  await workshop.close()
  await context.close()
  await rm(directory, { recursive: true, force: true })
})

const stable = async () => {
  const digest = (await channelPointers(context.state.redis, 'small')).stable!
  const manifest = await context.store.readJson<BundleManifest>(digest)
  return { digest, config: await context.store.readJson<BundleConfig>(manifest.config.digest) }
}

test.runIf(process.getuid?.() === 0)(
  'a blueprint is woven anew when a node told of a card that its bundle has no driver for, and not for what it needs none',
  { timeout: 240_000 },
  async () => {
    const at = `/usr/lib/modules/${release}`
    const kernel = await componentOf(context.store, 'kernel', release, '6.1.1-1', {
      [`/boot/vmlinuz-${release}`]: 'kernel',
      [`${at}/modules.builtin`]: 'virtio_pci\nvirtio_net\n',
      [`${at}/modules.dep`]:
        'kernel/drivers/net/paper.ko: kernel/drivers/net/mii.ko\nkernel/drivers/net/mii.ko:\nkernel/drivers/ata/disk.ko:\n',
      [`${at}/modules.alias`]:
        'alias pci:v0000AAAAd0000BBBBsv*sd*bc*sc*i* paper\nalias pci:v0000AAAAd0000DDDDsv*sd*bc*sc*i* disk\n',
      [`${at}/kernel/drivers/net/paper.ko`]: 'the driver',
      [`${at}/kernel/drivers/net/mii.ko`]: 'what it needs',
      [`${at}/kernel/drivers/ata/disk.ko`]: 'of a disk',
    })
    await smallBlueprint(context, 'small', { kernel })
    await composeBlueprint('small', { level: 'fast', replay: false, reason: 'test' }, workOf(context))
    const before = await stable()
    expect(before.config.kernel.drivers).toBeUndefined()
    const { redis } = context.state
    await updateNode(redis, mac, () => ({ mac, groups: [], assignment: { blueprint: 'small', channel: 'stable' } }))
    await updateNode(redis, lost, () => ({
      mac: lost,
      groups: [],
      assignment: { blueprint: 'gone', channel: 'stable' },
    }))
    await putHardware(redis, lost, [card])
    const watch = new HardwareWatch(context, workshop)
    try {
      await putHardware(redis, mac, [disk])
      await vi.waitFor(async () => expect([...(await hardwareNews(redis)).keys()]).toEqual([lost]), {
        timeout: 60_000,
        interval: 100,
      })
      await putHardware(redis, mac, [card, disk])
      await vi.waitFor(async () => expect((await stable()).config.kernel.drivers).toEqual(['paper']), {
        timeout: 90_000,
        interval: 200,
      })
      // What could not be woven is looked at again.
      await vi.waitFor(async () => expect([...(await hardwareNews(redis)).keys()]).toEqual([lost]), { timeout: 60_000 })
    } finally {
      watch.close()
    }
    const after = await stable()
    const drivers = after.config.segments.find(({ kind }) => kind === 'drivers')!
    const files = readCpio(zstdDecompressSync(await context.store.read(drivers.digest)))
    expect(files.map(({ path }) => path).filter((path) => path.endsWith('.ko'))).toEqual([
      '.bootloom/drivers/000-mii.ko',
      '.bootloom/drivers/001-paper.ko',
    ])
    // A node with the bundle before is not up to date.
    expect(await contentOf(context.store, after.digest)).not.toBe(await contentOf(context.store, before.digest))
    const wanted = (await latestEvents(redis, 50)).filter(({ event }) => event === 'drivers-wanted')
    expect(wanted).toMatchObject([{ blueprint: 'small', drivers: ['paper'] }])
  },
)
