import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ComposeReport } from '../../src/change/report.ts'
import type { Firmware, Nic } from '../../src/machine/firmware.ts'
import type { BuiltKernel } from '../../src/state/kernels.ts'
import type { Digest } from '../../src/store/digest.ts'
import { blueprintNames } from '../blueprint.ts'
import type { WatchedBoot } from '../boot-watch.ts'
import { type KernelOf, LeanLab } from './lean-lab.ts'
import { bootTiny, tinyDate, vulnerabilitiesIn } from './tiny.ts'

const lean = { flavour: 'lean' }
const debian = { flavour: 'cloud' }
const blueprints = await blueprintNames()

describe.skipIf(process.getuid?.() !== 0)('a lean kernel (skipped without root: it makes network namespaces)', () => {
  let lab: LeanLab
  let bundle: ComposeReport

  const kernelOf = async (digest: Digest): Promise<string> => (await lab.kernelOf(digest)).path

  beforeAll(async () => {
    lab = await LeanLab.open({ fleet: { heartbeat: 1, deadline: 60, tries: 2 } })
    bundle = await lab.weave('apache', lean, { level: 'thorough' })
  })
  afterAll(() => lab?.close())

  it("makes Apache's whole bundle 6 MB at most, drivers and all", () => {
    expect(bundle.totals.kernel + bundle.totals.size).toBeLessThanOrEqual(6_000_000)
    expect(bundle.rows.some(({ kind }) => kind === 'drivers')).toBe(false)
    expect(bundle.kernel?.chosen.map(({ name }) => name)).toContain('mitigations')
    console.error(`  kernel ${bundle.totals.kernel}, initramfs ${bundle.totals.size} bytes`)
  })

  it('is built once: the same options are the same kernel', async () => {
    const [before] = await lab.api.request<BuiltKernel[]>('GET', '/v1/kernels')
    const again = await lab.weave('apache', lean)
    expect(again.kernel?.release).toBe(bundle.kernel?.release)
    const [after] = await lab.api.request<BuiltKernel[]>('GET', '/v1/kernels')
    expect(after).toEqual(before)
    const shown = await lab.api.request<{ config: string }>('GET', `/v1/kernels/${again.kernel!.release}`)
    expect(shown.config).toContain('CONFIG_PAGE_TABLE_ISOLATION=y')
  })

  it('is the same to the byte when another server builds it', { timeout: 1_800_000 }, async () => {
    const other = await LeanLab.open({}, 'bootloom-lean-other')
    try {
      const again = await other.weave('apache', lean, { replay: false })
      expect((await other.kernelOf(again.digest)).digest).toBe((await lab.kernelOf(bundle.digest)).digest)
    } finally {
      await other.close()
      await rm(other.place.directory, { recursive: true, force: true })
    }
  })

  it.each<[Firmware, Nic]>([
    ['bios', 'virtio-net-pci'],
    ['bios', 'e1000'],
    ['bios', 'e1000e'],
    ['uefi-pxe', 'virtio-net-pci'],
    ['uefi-pxe', 'e1000'],
    ['uefi-pxe', 'e1000e'],
  ])('boots by %s on %s and serves', async (firmware, nic) => {
    const { node, boot, since } = await lab.boot('apache', bundle.digest, { firmware, nic })
    try {
      expect((await lab.fetch(boot)).body).toContain('Bootloom')
      console.error(`  ${firmware}, ${nic}: ready ${((Date.now() - since) / 1000).toFixed(1)} s after power-on`)
    } finally {
      await node.stop()
    }
  })

  it('serves a hundred requests on a node of 48 MB', async () => {
    const { node, boot } = await lab.boot('apache', bundle.digest, { memory: 48 })
    try {
      for (let i = 0; i < 100; i++) expect((await lab.fetch(boot)).body).toContain('Bootloom')
    } finally {
      await node.stop()
    }
  })

  it.each(['Skylake-Server-v1', 'Haswell-v1', 'EPYC-v1', 'qemu64'])(
    "reports every mitigation that Debian's kernel reports, on a %s",
    async (cpu) => {
      const cloud = await lab.weave('apache', debian)
      const [ours, theirs] = [await kernelOf(bundle.digest), await kernelOf(cloud.digest)]
      const own = vulnerabilitiesIn(await bootTiny({ kernel: ours, cpu }))
      const debians = vulnerabilitiesIn(await bootTiny({ kernel: theirs, cpu }))
      expect(debians.size).toBeGreaterThan(10)
      expect([...own.keys()]).toEqual([...debians.keys()])
      const worse = [...debians].filter(([name, text]) => !isMitigatedAs(own.get(name) ?? '', text))
      expect(worse.map(([name, text]) => `${name}: ${text}, ours: ${own.get(name)}`)).toEqual([])
    },
  )

  it('has all built in and a watchdog, and boots anew by itself after a panic, whatever its command line says', async () => {
    const kernel = await kernelOf(bundle.digest)
    const printed = await bootTiny({ kernel, cpu: 'qemu64' })
    expect(printed).toContain('said all')
    expect(printed).toContain('has a watchdog')
    // By their dates a node that learns knows what was read, and a web server says what has changed.
    expect(printed).toContain(`unpacked as of ${tinyDate}`)
    const began = Date.now()
    expect(await bootTiny({ kernel, cpu: 'qemu64', cmdline: 'rdinit=/nowhere' })).toContain('Rebooting in 10 seconds')
    expect(Date.now() - began).toBeLessThan(60_000)
  })

  it('gives its place back to the bundle before when it does not come up', async () => {
    const good = await lab.boot('apache', bundle.digest)
    try {
      const bad = await lab.weave('apache', { ...lean, cmdline: 'rdinit=/nowhere' }, { replay: false })
      await lab.api.request('POST', '/v1/channels/apache/candidate', { digest: bad.digest })
      const since = Date.now()
      await good.node.reset()
      const boots = await bootsUntil(good.node.settings.mac, since, (newest) => newest.outcome === 'ready')
      expect(boots[0]!.bundle).toBe(bundle.digest)
      expect(boots.filter((boot) => boot.bundle === bad.digest).length).toBe(2)
    } finally {
      await good.node.stop()
    }
  })

  it('is entered by kexec from itself', async () => {
    const { node } = await lab.boot('apache', bundle.digest)
    try {
      const since = Date.now()
      await lab.api.request('POST', `/v1/nodes/${node.settings.mac}/reboot`, {})
      const boots = await bootsUntil(node.settings.mac, since, (newest) => newest.outcome === 'ready')
      expect(boots[0]!.stages.map(({ stage }) => stage)).toContain('jump')
    } finally {
      await node.stop()
    }
  })

  it('refuses an option that it drops, and names what the option lacks', async () => {
    await expect(lab.weave('apache', { ...lean, options: { SND: 'y' } })).rejects.toMatchObject({
      code: 'KERNEL_OPTION_DROPPED',
      details: [expect.stringContaining('CONFIG_SND=y of blueprint: needs SOUND')],
    })
  })

  it("repacks Debian's kernel: the same code, two thirds of the bytes", async () => {
    const cloud = await lab.weave('apache', debian)
    const repacked = await lab.weave('apache', { ...debian, repack: true })
    expect(repacked.totals.kernel).toBeLessThan(0.7 * cloud.totals.kernel)
    const [ours, theirs] = [await kernelOf(repacked.digest), await kernelOf(cloud.digest)]
    const said = async (kernel: string) => vulnerabilitiesIn(await bootTiny({ kernel, cpu: 'Haswell-v1' }))
    expect(await said(ours)).toEqual(await said(theirs))
    const { node, boot } = await lab.boot('apache', repacked.digest)
    try {
      expect((await lab.fetch(boot)).body).toContain('Bootloom')
    } finally {
      await node.stop()
    }
  })

  // Some need a kernel of their own, which is built.
  it.each(blueprints)('holds in the replay of %s, which comes up on it', { timeout: 1_800_000 }, async (blueprint) => {
    const woven = await lab.weave(blueprint, lean as KernelOf)
    expect(woven.replay?.verdict.holds).toBe(true)
    // MariaDB's redo log alone is 100 MB.
    const { node } = await lab.boot(blueprint, woven.digest, { memory: 512 })
    console.error(`  ${blueprint}: kernel ${woven.totals.kernel}, initramfs ${woven.totals.size} bytes`)
    await node.stop()
  })

  async function bootsUntil(mac: string, since: number, isOver: (newest: WatchedBoot) => boolean) {
    for (;;) {
      const { boots } = await lab.api.request<{ boots: (WatchedBoot & { openedAt: number })[] }>(
        'GET',
        `/v1/nodes/${mac}`,
      )
      const own = boots.filter(({ openedAt }) => openedAt >= since)
      if (own[0] && isOver(own[0])) return own
      await sleep(500)
    }
  }
})

/** Neither vulnerable where Debian's kernel is not, nor without a measure that it names. */
function isMitigatedAs(own: string, debians: string): boolean {
  if (/vulnerable/i.test(own) && !/vulnerable/i.test(debians)) return false
  return debians.split('; ').every((measure) => own.includes(measure))
}
