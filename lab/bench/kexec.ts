import { setTimeout as sleep } from 'node:timers/promises'
import { BootloomError } from '../../src/config/errors.ts'
import { addressOf, type WatchedBoot, watchBoot } from '../boot-watch.ts'
import { type LabNode, macOf, startNode } from '../node.ts'
import { type BenchLab, inBenchLab } from './bench-lab.ts'
import { watchPage } from './outage.ts'
import { median, report, timesLess } from './report.ts'

/**
 * A running Apache is told to boot into another bundle: by kexec, and through its firmware (BIOS, iPXE), in turn. Both
 * begin with the same order and end with the same page.
 */
const rounds = Number(process.argv[2] ?? 5)
/** MiB. */
const memory = 256
const patience = 120_000

interface Restarted {
  /** Seconds between the last page of before and the first one of the next bundle. */
  readonly outage: number
  /** Seconds from the order being taken until the node reported ready. */
  readonly whole: number
}

interface Shown {
  readonly boots: readonly (WatchedBoot & { readonly openedAt: number })[]
}

async function restart({ api, place }: BenchLab, node: LabNode, full: boolean): Promise<Restarted> {
  const path = `/v1/nodes/${node.settings.mac}`
  const [before] = (await api.request<Shown>('GET', path)).boots
  const page = await watchPage(place.name, `http://${addressOf(before!)}/`)
  try {
    const ordered = Date.now()
    node.serial.mark()
    await api.request('POST', `${path}/reboot`, { full })
    // Servers' ROMs do not ask whether somebody wants a command line.
    if (full) void node.passPrompt().catch(() => {})
    for (;;) {
      const [boot] = (await api.request<Shown>('GET', path)).boots
      const ready = boot && boot.id !== before!.id && boot.stages.find(({ stage }) => stage === 'ready')?.at
      if (ready) {
        // The page is there a moment before or after the node says so.
        await sleep(1500)
        const { from, to } = page.longestGap()
        const jumped = boot.stages.some(({ stage }) => stage === 'jump')
        if (jumped === full) throw new BootloomError('LAB_FAILED', `it came ${jumped ? 'by kexec' : 'by its firmware'}`)
        // Through the firmware, the page goes as soon as the node takes the order.
        return { outage: (to - from) / 1000, whole: (ready - (full ? from : boot.openedAt)) / 1000 }
      }
      if (Date.now() - ordered > patience) throw new BootloomError('LAB_TIMEOUT', 'the node did not come back')
      await sleep(100)
    }
  } finally {
    page.end()
  }
}

await inBenchLab(
  async (lab) => {
    await lab.prepare('apache')
    const mac = macOf(1)
    const bundle = await lab.compose('apache', { level: 'fast' })
    await lab.api.request('POST', '/v1/channels/apache/candidate', { digest: bundle.digest })
    await lab.api.request('PUT', `/v1/nodes/${mac}`, { blueprint: 'apache', channel: 'candidate' })
    const since = Date.now()
    const node = await startNode(lab.place, { index: 1, mac, memory })
    const [kexec, firmware]: [Restarted[], Restarted[]] = [[], []]
    try {
      await watchBoot(lab.api, node, { since, timeout: 600_000 })
      for (let round = 1; round <= rounds; round++) {
        console.error(`  round ${round} of ${rounds}`)
        kexec.push(await restart(lab, node, false))
        firmware.push(await restart(lab, node, true))
      }
    } finally {
      await node.stop()
    }
    const medianOf = (runs: readonly Restarted[], value: (run: Restarted) => number) => median(runs.map(value))
    const whole = [kexec, firmware].map((runs) => medianOf(runs, (run) => run.whole).toFixed(1))
    console.error(
      `  with the download, until the node says that it is ready: ${whole.join(' s, through the firmware ')} s`,
    )
    const [ours, peer] = [medianOf(kexec, (run) => run.outage), medianOf(firmware, (run) => run.outage)]
    report('kexec', [
      timesLess(`from going down to the page of the next bundle, median of ${rounds}`, 's', ours, peer, 1.67),
    ])
  },
  { fleet: { heartbeat: 1 } },
)
