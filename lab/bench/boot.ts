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

/** Seconds from power-on until the node reported that its probe is answered. */
async function powerOn(lab: BenchLab, digest: string): Promise<{ seconds: number; initramfs: number }> {
  const mac = macOf(1)
  await lab.api.request('POST', '/v1/channels/apache/candidate', { digest })
  await lab.api.request('PUT', `/v1/nodes/${mac}`, { blueprint: 'apache', channel: 'candidate' })
  const since = Date.now()
  const node = await startNode(lab.place, { index: 1, mac, memory })
  try {
    const boot = await watchBoot(lab.api, node, { since, timeout: 600_000 })
    const ready = boot.stages.find(({ stage }) => stage === 'ready')!.at
    const initramfs = boot.stages.find(({ stage, bytes }) => stage === 'initramfs' && bytes)!.bytes!
    return { seconds: (ready - since) / 1000, initramfs }
  } finally {
    await node.stop()
    await rm(node.serial.path, { force: true })
  }
}

await inBenchLab(async (lab) => {
  await lab.prepare('apache')
  const bundle = await lab.compose('apache', { level: 'fast' })
  const full = await lab.compose('apache', { level: 'fast', full: true })
  const ours: number[] = []
  const peer: number[] = []
  const sent = { ours: 0, peer: 0 }
  for (let round = 1; round <= rounds; round++) {
    console.error(`  round ${round} of ${rounds}`)
    const a = await powerOn(lab, bundle.digest)
    const b = await powerOn(lab, full.digest)
    ours.push(a.seconds)
    peer.push(b.seconds)
    sent.ours = a.initramfs
    sent.peer = b.initramfs
  }
  report('boot', [
    timesLess(`power-on → Apache answers, median of ${rounds}`, 's', median(ours), median(peer), 2),
    timesLess('initramfs that the node fetched', 'MB', sent.ours / 1e6, sent.peer / 1e6, 15),
  ])
})
