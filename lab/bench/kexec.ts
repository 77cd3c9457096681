import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { BootloomError } from '../../src/config/errors.ts'
import { addressOf, type WatchedBoot, watchBoot } from '../boot-watch.ts'
import { type LabNode, macOf, startNode } from '../node.ts'
import { until } from '../wait.ts'
import { type BenchLab, inBenchLab } from './bench-lab.ts'
import { watchPage } from './outage.ts'
import { median, report, timesLess } from './report.ts'

/**
 * A running Apache is told to boot into its next bundle, which differs by a page: by kexec, and through its firmware
 * (BIOS, iPXE), in turn. Both begin with the same order and end with the same page. kexec.ts [ROUNDS] [MIB]
 */
const [rounds, memory] = [Number(process.argv[2] ?? 5), Number(process.argv[3] ?? 256)]
const patience = 120_000

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
    await sleep(1500)
    const { from, to } = page.longestGap()
    const jump = boot.stages.find(({ stage }) => stage === 'jump')
    if ((jump === undefined) !== full || boot.bundle !== bundle || to === 0) {
      const why = boot.stages.find(({ stage }) => stage === 'no-jump')?.detail ?? 'the page was not seen to go'
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
    await lab.api.request('PUT', `/v1/nodes/${mac}`, { blueprint: 'apache', bundle: one })
    const since = Date.now()
    const node = await startNode(lab.place, { index: 1, mac, memory })
    const [kexec, firmware]: [Restarted[], Restarted[]] = [[], []]
    try {
      await watchBoot(lab.api, node, { since, timeout: patience })
      for (let round = 1; round <= rounds; round++) {
        kexec.push(await restart(lab, node, other, false))
        const { outage, whole, told } = kexec.at(-1)!
        console.error(`  round ${round} of ${rounds}: ${outage} s, from the order ${whole} s; ${told}`)
        firmware.push(await restart(lab, node, one, true))
      }
    } finally {
      await node.stop()
    }
    const row = (what: string, value: (run: Restarted) => number) =>
      timesLess(
        `${what} to the page, median of ${rounds}`,
        's',
        median(kexec.map(value)),
        median(firmware.map(value)),
        1.67,
      )
    report('kexec', [
      row('from going down', ({ outage }) => outage),
      row('from the order being taken', ({ whole }) => whole),
    ])
  },
  { fleet: { heartbeat: 1 } },
)
