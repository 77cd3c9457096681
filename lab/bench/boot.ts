import { rm } from 'node:fs/promises'
import { watchBoot } from '../boot-watch.ts'
import { macOf, startNode } from '../node.ts'
import { type BenchLab, inBenchLab } from './bench-lab.ts'
import { median, report, timesLess } from './report.ts'

/**
 * Power-on to an answering Apache: the bundle against the full stack's image, on the same kernel, by the same road, in
 * turn. Both are compressed at the fast level.
 */
const rounds = Number(process.argv[2] ?? 3)
/** MiB: what the full image needs to unpack, for both. */
const memory = 1024

interface PoweredOn {
  /** Seconds from power-on, and from the firmware's first DISCOVER, until the node reported that its probe is answered. */
  readonly seconds: number
  readonly fromDiscover: number
  /** Bytes. */
  readonly initramfs: number
}

async function powerOn(lab: BenchLab, digest: string): Promise<PoweredOn> {
  const mac = macOf(1)
  await lab.api.request('POST', '/v1/channels/apache/candidate', { digest })
  await lab.api.request('PUT', `/v1/nodes/${mac}`, { blueprint: 'apache', channel: 'candidate' })
  const since = Date.now()
  const node = await startNode(lab.place, { index: 1, mac, memory })
  try {
    const boot = await watchBoot(lab.api, node, { since, timeout: 240_000 })
    const ready = boot.stages.find(({ stage }) => stage === 'ready')!.at
    const initramfs = boot.stages.find(({ stage, bytes }) => stage === 'initramfs' && bytes)!.bytes!
    const discover = boot.stages.find(({ stage }) => stage === 'discover')!.at
    return { seconds: (ready - since) / 1000, fromDiscover: (ready - discover) / 1000, initramfs }
  } finally {
    await node.stop()
    await rm(node.serial.path, { force: true })
  }
}

await inBenchLab(async (lab) => {
  await lab.prepare('apache')
  const bundle = await lab.compose('apache', { level: 'fast' })
  const full = await lab.compose('apache', { level: 'fast', full: true })
  const ours: PoweredOn[] = []
  const peer: PoweredOn[] = []
  for (let round = 1; round <= rounds; round++) {
    console.error(`  round ${round} of ${rounds}`)
    ours.push(await powerOn(lab, bundle.digest))
    peer.push(await powerOn(lab, full.digest))
  }
  const row = (what: string, unit: string, value: (run: PoweredOn) => number, least: number) =>
    timesLess(what, unit, median(ours.map(value)), median(peer.map(value)), least)
  report('boot', [
    row(`power-on → Apache answers, median of ${rounds}`, 's', (run) => run.seconds, 2),
    row('the same without what firmware takes until its first DISCOVER', 's', (run) => run.fromDiscover, 2),
    row('initramfs that the node fetched', 'MB', (run) => run.initramfs / 1e6, 15),
  ])
})
