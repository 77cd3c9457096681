import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { addressOf, type WatchedBoot } from '../boot-watch.ts'
import { macOf, startNode } from '../node.ts'
import type { Place } from '../place.ts'
import { type BenchLab, inBenchLab } from './bench-lab.ts'
import { startPeer, takeFiles } from './peer-boot.ts'
import { type Measure, median, report, rounded } from './report.ts'

/**
 * Power-on to the first words of the node's init, QEMU's BIOS with iPXE's ROM: Bootloom against dnsmasq and nginx with
 * the same kernel, initramfs and overlay in a namespace like ours, in turn. Init's first words are the moment that both
 * share: from the last byte of the overlay to them, only the kernel works. power-on.ts [ROUNDS].
 */
const rounds = Number(process.argv[2] ?? 8)
const mac = macOf(1)

/** Seconds. */
async function untilInit(place: Place): Promise<number> {
  const began = performance.now()
  const node = await startNode(place, { index: 1, mac })
  try {
    while (!node.serial.text().includes('bootloom: init')) {
      if (performance.now() - began > 120_000) await node.serial.waitFor('bootloom: init', 0)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    return (performance.now() - began) / 1000
  } finally {
    await node.stop()
    await rm(node.serial.path, { force: true })
  }
}

await inBenchLab(measure, { fleet: { tries: 100 } })

/** No node gets as far as ready, and none is to fall back for it. */
async function measure({ place, api, prepare, compose }: BenchLab): Promise<void> {
  await prepare('apache')
  await compose('apache', { level: 'thorough' })
  await api.request('PUT', `/v1/nodes/${mac}`, { blueprint: 'apache', channel: 'stable' })
  const other = { name: `${place.name}-peer`, directory: join(place.directory, 'peer') }
  await untilInit(place)
  const { boots } = await api.request<{ boots: readonly WatchedBoot[] }>('GET', `/v1/nodes/${mac}`)
  await takeFiles(place, { mac, address: addressOf(boots[0]!)! }, other.directory)
  const peerServes = await startPeer(other)
  const ours: number[] = []
  const peer: number[] = []
  try {
    // The first round only warms both up.
    for (let round = 0; round <= rounds; round++) {
      // They take turns at being the first, which finds the machine as the other left it.
      if (round % 2 === 0) ours.push(await untilInit(place))
      peer.push(await untilInit(other))
      if (round % 2 === 1) ours.push(await untilInit(place))
      console.error(
        `  round ${round} of ${rounds}: ours ${ours.at(-1)?.toFixed(2)} s, peer ${peer.at(-1)?.toFixed(2)} s`,
      )
    }
  } finally {
    await peerServes.close()
  }
  ours.shift()
  peer.shift()
  const [a, b] = [median(ours), median(peer)]
  const result: Measure = {
    what: `power-on → init, BIOS, against dnsmasq + nginx, median of ${rounds}`,
    unit: 's',
    ours: rounded(a),
    peer: rounded(b),
    ratio: rounded(b / a),
    bar: '≤ 1.0 × their time',
    holds: a <= b,
  }
  report('power-on', [result])
}
