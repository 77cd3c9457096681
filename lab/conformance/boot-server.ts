import { setTimeout as sleep } from 'node:timers/promises'
import { ApiClient } from '../../src/http/api-client.ts'
import type { Firmware } from '../../src/machine/firmware.ts'
import { down, up } from '../lab.ts'
import { macOf, startNode } from '../node.ts'
import { network, type Place, paths } from '../place.ts'
import { besideBootServer, startOtherDhcp } from './other-dhcp.ts'

/** Milliseconds. */
const patience = 90_000

interface Node {
  readonly boots: readonly { readonly stages: readonly { readonly stage: string; readonly by?: string }[] }[]
}

/**
 * Boots OVMF where a DHCP server sends it to our port 4011: milliseconds to our script on its screen, and who asked
 * there (`firmware`, `ipxe`). As a proxy, nothing but a question at that port is acknowledged.
 */
export async function bootByBootServer(place: Place) {
  await up(place, { settings: { dhcp: { mode: 'proxy' } }, held: true })
  const api = new ApiClient(paths.api(place))
  const beside = await startOtherDhcp(place, 'isc', besideBootServer(network.address))
  try {
    // Firmware that is answered by us alone waits long before it asks again.
    await sleep(1500)
    const time = await bootTime(place, 1, 'uefi-pxe')
    const { boots } = await api.request<Node>('GET', `/v1/nodes/${macOf(1)}`)
    const acknowledged = boots.flatMap(({ stages }) => stages).filter(({ stage }) => stage === 'ack')
    return { time, asked: new Set(acknowledged.map(({ by }) => by)) }
  } finally {
    await api.close()
    await beside.close()
    await down(place)
  }
}

/** Milliseconds from power-on to our script on the screen. */
export async function bootTime(place: Place, index: number, firmware: Firmware): Promise<number | undefined> {
  const began = Date.now()
  const node = await startNode(place, { index, firmware })
  try {
    for (; Date.now() - began < patience; await sleep(200)) {
      if (node.serial.text().includes('Bootloom knows no assignment')) return Date.now() - began
    }
    return undefined
  } finally {
    await node.stop()
  }
}
