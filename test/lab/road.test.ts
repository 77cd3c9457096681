import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { addressOf } from '../../lab/boot-watch.ts'
import { otherPrograms } from '../../lab/conformance/machines.ts'
import { fetchInside } from '../../lab/fetch.ts'
import { macOf } from '../../lab/node.ts'
import { network, paths } from '../../lab/place.ts'
import { run } from '../../src/config/command.ts'
import { inside } from '../../src/machine/namespace.ts'
import { damagedBundle } from './damaged-bundle.ts'
import { exchangeInside } from './exchange-inside.ts'
import { Road } from './road.ts'

const asRoot = process.getuid?.() === 0

/** From nothing to nodes that serve from RAM, on real packages, firmware and Redis. */
describe.skipIf(!asRoot)(
  'the whole road (skipped without root: it makes network namespaces)',
  { timeout: 300_000 },
  () => {
    let road: Road
    let site: string

    beforeAll(async () => {
      road = await Road.open('road')
      site = (await road.apply('apache'))!
      await road.observe('apache')
    }, 600_000)
    afterAll(() => road?.close(), 60_000)

    const page = async (address: string) =>
      (await fetchInside(road.place.name, `http://${address}/`, { patience: 20_000 })).body

    it('weaves a bundle that is a small part of its stack, and nothing anew the second time', async () => {
      const first = await road.compose('apache', { level: 'fast' })
      expect(first.woven.length).toBeGreaterThan(10)
      expect(first.totals.raw).toBeLessThan(first.fullStack.bytes / 15)
      const second = await road.compose('apache', { level: 'fast' })
      expect(second).toMatchObject({ digest: first.digest, woven: [], reused: first.woven.length })
    })

    it('boots two nodes with different blueprints at once, each into its own application', async () => {
      await road.apply('redis')
      await road.observe('redis')
      await road.compose('redis', { level: 'thorough' })
      await road.assign(macOf(1), 'apache')
      await road.assign(macOf(2), 'redis')
      const [apache, redis] = await Promise.all([road.boot({ index: 1 }), road.boot({ index: 2, memory: 128 })])

      expect(await page(addressOf(apache.boot)!)).toContain('Bootloom')
      const answer = await exchangeInside(
        road.place.name,
        addressOf(redis.boot)!,
        6379,
        'SET a kept\r\nGET a\r\nQUIT\r\n',
      )
      expect(answer).toContain('+OK')
      expect(answer).toContain('kept')
      await redis.node.stop()

      const stages = apache.boot.stages.map(({ stage }) => stage)
      const usual = [
        'discover',
        'offer',
        'request',
        'ack',
        'script',
        'kernel',
        'initramfs',
        'overlay',
        'init',
        'network',
        'app',
        'ready',
      ]
      expect(stages.filter((stage, i) => usual.includes(stage) && stages.indexOf(stage) === i)).toEqual(usual)
    })

    it('weaves an edited page alone, within two seconds, names the stale node, and a reboot serves it', async () => {
      const node = (await import('../../lab/node.ts')).runningNode(road.place, 1)!
      const file = join(site, 'index.html')
      const edited = Date.now()
      await writeFile(file, (await readFile(file, 'utf8')).replace('</body>', '<p>edited a moment ago</p></body>'))
      const published = await road.event<{ woven: string[]; stale: string[]; blueprint: string; level: string }>(
        'bundle-published',
        edited,
        10_000,
      )
      expect(published).toMatchObject({ blueprint: 'apache', woven: ['/var/www/html'], stale: [macOf(1)] })
      expect(published.at - edited).toBeLessThan(2000)

      const since = Date.now()
      await node.reset()
      const boot = await road.ready(node, since)
      expect(await page(addressOf(boot)!)).toContain('edited a moment ago')
      await node.stop()
    })

    it.each(['undionly', 'uefi-pxe', 'uefi-http'] as const)('boots a node whose firmware is %s', async (firmware) => {
      const index = { undionly: 3, 'uefi-pxe': 4, 'uefi-http': 5 }[firmware]
      await road.assign(macOf(index), 'apache')
      const { node, boot } = await road.boot({ index, firmware })
      expect(await page(addressOf(boot)!)).toContain('Bootloom')
      await node.stop()
    })

    it.each(['corrupt', 'truncated'] as const)(
      'refuses to start on a %s segment, reports why, and reboots',
      async (kind) => {
        const mac = macOf(6)
        const { digest } = await road.compose('apache', { level: 'fast' })
        const bundle = await damagedBundle(join(paths.state(road.place), 'store'), digest, kind)
        await road.api.request('POST', '/v1/channels/apache/candidate', { digest: bundle })
        await road.assign(mac, 'apache', 'candidate')
        const since = Date.now()
        await expect(road.boot({ index: 6 })).rejects.toMatchObject({
          code: 'LAB_FAILED',
          message: expect.stringContaining('incomplete'),
        })
        const { runningNode } = await import('../../lab/node.ts')
        const node = runningNode(road.place, 6)!
        const { boots } = await road.api.request<{ boots: { id: string; openedAt: number }[] }>(
          'GET',
          `/v1/nodes/${mac}`,
        )
        await expect
          .poll(
            async () => {
              const now = await road.api.request<{ boots: { id: string }[] }>('GET', `/v1/nodes/${mac}`)
              return now.boots[0]!.id !== boots[0]!.id || !node.running
            },
            { timeout: 60_000 },
          )
          .toBe(true)
        expect(Date.now() - since).toBeLessThan(300_000)
        await node.stop()
      },
    )

    it('tells an unassigned node its MAC and the command, and boots it once that was done', async () => {
      const mac = macOf(7)
      const { startNode } = await import('../../lab/node.ts')
      const since = Date.now()
      const node = await startNode(road.place, { index: 7 })
      await node.serial.waitFor(new RegExp(`bootloom node set ${mac} --blueprint`), 60_000)
      await road.assign(mac, 'apache')
      const boot = await road.ready(node, since)
      expect(await page(addressOf(boot)!)).toContain('Bootloom')
      await node.stop()
    })

    it('boots nodes by PXELINUX and by GRUB, which show that they wait while others download', async () => {
      await road.restart({ boot: { programs: otherPrograms }, http: { port: 8080, admission: 2 } })
      const others = [macOf(20), macOf(21)]
      for (const index of [8, 9, 20, 21]) await road.assign(macOf(index), 'apache')
      const fetched = (name: string) => run(...asCommand(inside(road.place.name, ['curl', '-sS', tftp + name])))
      // They ask now and again, as nodes that download, and so keep the two places there are.
      const downloading = () =>
        Promise.all(others.map((other) => fetched(`pxelinux.cfg/01-${other.replaceAll(':', '-')}`)))
      const configs = await downloading()
      const goesOn = setInterval(() => void downloading().catch(() => {}), 10_000)
      const { startNode } = await import('../../lab/node.ts')
      const since = Date.now()
      const nodes = [
        await startNode(road.place, { index: 8, firmware: 'undionly' }),
        await startNode(road.place, { index: 9, firmware: 'uefi-pxe' }),
      ]
      try {
        for (const { serial } of nodes) await serial.waitFor(/waits for its turn to load apache/, 90_000)
      } finally {
        clearInterval(goesOn)
      }
      // Whoever has its overlay has all: its place is free.
      for (const config of configs) await fetched(/overlay\/\S+/.exec(config)![0])
      for (const boot of await Promise.all(nodes.map((node) => road.ready(node, since)))) {
        expect(await page(addressOf(boot)!)).toContain('Bootloom')
      }
      for (const node of nodes) await node.stop()
    })
  },
)

const tftp = `tftp://${network.address}/`
const asCommand = ([file, ...words]: readonly string[]): [string, string[]] => [file!, words]
