import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BootloomError } from '../../src/config/errors.ts'
import { type Firmware, firmwares } from '../../src/machine/firmware.ts'
import { addressOf, type WatchedBoot, watchBoot } from '../boot-watch.ts'
import { type LabNode, macOf, startNode } from '../node.ts'
import { until } from '../wait.ts'
import { type BenchLab, inBenchLab } from './bench-lab.ts'
import { watchPage } from './outage.ts'
import { type Measure, median, report, timesLess } from './report.ts'

/**
 * A running Apache is told to boot into its next bundle, which differs by a page: by kexec, and through its firmware, in
 * turn. Both begin with the same order and end with the same page; each is the first reboot of a machine that was switched
 * on for it. QEMU keeps what it translated of kernels that ran, and one that unpacks itself over that takes seconds longer,
 * and longer with each reboot that one process has seen. No machine has that.
 *
 * QEMU's BIOS is there at once and asks nobody; OVMF tells what UEFI itself costs, by its shortest road. Servers' own take
 * longer than either. kexec.ts [ROUNDS] [FIRMWARE…]
 */
const rounds = Number(process.argv[2] ?? 5)
const roads = process.argv.length > 3 ? process.argv.slice(3).map(firmwareOf) : (['bios', 'uefi-http'] as const)
const patience = 120_000

function firmwareOf(name: string): Firmware {
  const found = firmwares.find((known) => known === name)
  if (!found) throw new BootloomError('USAGE', `"${name}" is none of ${firmwares.join(', ')}`)
  return found
}

interface Restarted {
  /** Seconds between the last page of before and the first one of the next bundle. */
  readonly outage: number
  /** Seconds from the order being taken until that page. */
  readonly whole: number
  /** What the node says of its way. */
  readonly told: string
}

interface Shown {
  readonly boots: readonly (WatchedBoot & { readonly openedAt: number })[]
}

async function restart({ api, place }: BenchLab, node: LabNode, bundle: string, full: boolean): Promise<Restarted> {
  const path = `/v1/nodes/${node.settings.mac}`
  await api.request('PUT', path, { blueprint: 'apache', bundle })
  const [before] = (await api.request<Shown>('GET', path)).boots
  const page = await watchPage(place.name, `http://${addressOf(before!)}/`)
  try {
    node.serial.mark()
    await api.request('POST', `${path}/reboot`, { full })
    // Servers' ROMs do not ask whether somebody wants a command line.
    if (full) void node.passPrompt().catch(() => {})
    const look = async () => {
      const [boot] = (await api.request<Shown>('GET', path)).boots
      const ready = boot && boot.id !== before!.id && boot.outcome === 'ready'
      return ready ? { found: boot } : { seen: `${boot?.id} ${boot?.stages.at(-1)?.stage}` }
    }
    const details = () => node.serial.text().trimEnd().split('\n').slice(-12)
    const boot = await until('the node is back', look, { timeout: patience, every: 100, details })
    // The page is there a moment before or after the node says so.
    const started = boot.stages.find(({ stage }) => stage === 'init')?.at ?? 0
    const answered = async () => {
      const gap = page.longestGap()
      return gap.to > started ? { found: gap } : { seen: `not yet: ${JSON.stringify({ ...gap, started })}` }
    }
    const { from, to } = await until('the page is back', answered, { timeout: 20_000, every: 100, details })
    const jump = boot.stages.find(({ stage }) => stage === 'jump')
    if ((jump === undefined) !== full || boot.bundle !== bundle) {
      const why = boot.stages.find(({ stage }) => stage === 'no-jump')?.detail ?? 'nobody says why'
      throw new BootloomError('LAB_FAILED', `it came ${jump ? 'by kexec' : `by its firmware: ${why}`}`)
    }
    // Through the firmware, the page goes as soon as the node takes the order.
    return { outage: (to - from) / 1000, whole: (to - (full ? from : boot.openedAt)) / 1000, told: jump?.detail ?? '' }
  } finally {
    page.end()
  }
}

await inBenchLab(
  async (lab) => {
    const { site } = await lab.prepare('apache')
    const page = join(site!, 'index.html')
    const one = (await lab.compose('apache', { level: 'fast' })).digest
    await writeFile(page, `${await readFile(page, 'utf8')}<!-- the next one -->\n`)
    const other = (await lab.compose('apache', { level: 'fast' })).digest
    if (other === one) throw new BootloomError('INTERNAL', 'the next bundle is the same')
    const mac = macOf(1)
    async function measure(firmware: Firmware, way: 'kexec' | 'full'): Promise<Restarted> {
      await lab.api.request('PUT', `/v1/nodes/${mac}`, { blueprint: 'apache', bundle: one })
      const since = Date.now()
      const node = await startNode(lab.place, { index: 1, mac, firmware })
      try {
        await watchBoot(lab.api, node, { since, timeout: patience })
        const run = await restart(lab, node, other, way === 'full')
        const told = run.told && `; ${run.told}`
        console.error(`  ${firmware}, ${way}: ${run.outage} s, from the order ${run.whole} s${told}`)
        return run
      } finally {
        await node.stop()
      }
    }
    const rows: Measure[] = []
    for (const firmware of roads) {
      const [kexec, full]: [Restarted[], Restarted[]] = [[], []]
      for (let round = 1; round <= rounds; round++) {
        kexec.push(await measure(firmware, 'kexec'))
        full.push(await measure(firmware, 'full'))
      }
      const row = (what: string, value: (run: Restarted) => number) =>
        timesLess(`${firmware}: ${what} to the page`, 's', median(kexec.map(value)), median(full.map(value)), 1.67)
      rows.push(row('from going down', ({ outage }) => outage))
      rows.push(row('from the order being taken', ({ whole }) => whole))
    }
    report('kexec', rows)
  },
  { fleet: { heartbeat: 1 } },
)
