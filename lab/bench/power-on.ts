import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { addressOf, type WatchedBoot } from '../boot-watch.ts'
import { macOf, startNode } from '../node.ts'
import type { Place } from '../place.ts'
import { type BenchLab, inBenchLab } from './bench-lab.ts'
import { startPeer, takeFiles } from './peer-boot.ts'
import { type Measure, median, report, rounded } from './report.ts'

/**
 * Power-on to the kernel's start, QEMU's BIOS with iPXE's ROM: Bootloom against dnsmasq and nginx with the same kernel,
 * initramfs and overlay in a namespace like ours, in turn. iPXE says when it has the last of them, and enters the kernel;
 * what follows is the same four times as long, and would hide what differs. power-on.ts [ROUNDS].
 */
const rounds = Number(process.argv[2] ?? 30)
const mac = macOf(1)
/** The rest of its `ok` may be lost: the kernel takes over the serial port at once. */
const last = /overlay[.]+ o/

/** Seconds. */
async function untilKernel(place: Place): Promise<number> {
  const began = performance.now()
  const node = await startNode(place, { index: 1, mac })
  try {
    while (!last.test(node.serial.text())) {
      if (performance.now() - began > 120_000) await node.serial.waitFor(last, 0)
      await new Promise((resolve) => setTimeout(resolve, 5))
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
  await untilKernel(place)
  const { boots } = await api.request<{ boots: readonly WatchedBoot[] }>('GET', `/v1/nodes/${mac}`)
  await takeFiles(place, { mac, address: addressOf(boots[0]!)! }, other.directory)
  const peerServes = await startPeer(other)
  const ours: number[] = []
  const peer: number[] = []
  try {
    // The first round only warms both up.
    for (let round = 0; round <= rounds; round++) {
      // They take turns at being the first, which finds the machine as the other left it.
      if (round % 2 === 0) ours.push(await untilKernel(place))
      peer.push(await untilKernel(other))
      if (round % 2 === 1) ours.push(await untilKernel(place))
      console.error(
        `  round ${round} of ${rounds}: ours ${ours.at(-1)?.toFixed(3)} s, peer ${peer.at(-1)?.toFixed(3)} s`,
      )
    }
  } finally {
    await peerServes.close()
  }
  ours.shift()
  peer.shift()
  const [a, b] = [median(ours), median(peer)]
  const result: Measure = {
    what: `power-on → kernel, BIOS, against dnsmasq + nginx, median of ${rounds}`,
    unit: 's',
    ours: rounded(a),
    peer: rounded(b),
    ratio: rounded(b / a),
    bar: '≤ 1.0 × their time',
    holds: a <= b,
  }
  report('power-on', [result])
}
