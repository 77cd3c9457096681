import { rm } from 'node:fs/promises'
import type { ApiClient } from '../../src/http/api-client.ts'
import { watchBoot } from '../boot-watch.ts'
import { macOf, startNode } from '../node.ts'
import type { Place } from '../place.ts'
import type { Recorded } from '../processes.ts'
import type { Account, Trouble } from '../storm/account.ts'
import { storm } from '../storm/storm.ts'
import { mendBlow, prepareBlow, strike } from './blows.ts'
import { cableToMachines, cableToNodes, plugBehindCable, removeCable } from './cable.ts'
import type { Condition } from './conditions.ts'

export interface Outcome {
  readonly condition: string
  /** `20 simulated` or `1 in QEMU`. */
  readonly nodes: string
  readonly ready: number
  readonly of: number
  readonly seconds: number
  /** What nodes met on their way and overcame, or could not. */
  readonly said: readonly string[]
  readonly holds: boolean
}

/** A number of simulated nodes under one condition. Holds when each comes up, with the bytes that all others got. */
export async function simulateUnder(
  place: Place,
  api: ApiClient,
  condition: Condition,
  nodes: number,
): Promise<Outcome> {
  const { cable: faults, mtu, blow, name } = condition
  let cable: Recorded | undefined
  let struck: Promise<void> | undefined
  await prepareBlow(place, blow)
  try {
    const result = await storm(place, api, {
      nodes,
      within: 2,
      tftpShare: 0.25,
      hashShare: 1,
      kernelSeconds: 1,
      patience: 120,
      async prepare() {
        cable = await cableToNodes(place, faults, mtu)
      },
      onView(account) {
        if (blow && !struck && inMidTransfer(account, nodes)) struck = strike(place, blow)
      },
    })
    await struck
    const { ready, readyByServer, failures, troubles, differing } = result
    const missed = blow !== undefined && struck === undefined ? ['the blow came too late'] : []
    return {
      condition: name,
      nodes: `${nodes} simulated`,
      ready: readyByServer,
      of: nodes,
      seconds: result.seconds,
      said: [
        ...missed,
        ...failures.map(told),
        ...differing.map((what) => `different bytes: ${what}`),
        ...troubles.map(told),
      ],
      holds: ready === nodes && readyByServer === nodes && differing.length === 0 && missed.length === 0,
    }
  } finally {
    await struck?.catch(() => {})
    if (cable) await removeCable(place, cable)
    await mendBlow(place, blow)
  }
}

const inMidTransfer = (account: Account, nodes: number) =>
  account.passed('script') > nodes / 4 && account.passed('initramfs') < nodes

const told = ({ stage, reason, count }: Trouble) => `${count} × ${stage}: ${reason}`

/** One real machine under the condition: BIOS with iPXE, into its application. */
export async function bootUnder(place: Place, api: ApiClient, condition: Condition): Promise<Outcome> {
  const { cable: faults, blow, name } = condition
  const cable = await cableToMachines(place, faults)
  const since = Date.now()
  const mac = macOf(9)
  await api.request('PUT', `/v1/nodes/${mac}`, { blueprint: 'apache', channel: 'stable' })
  const node = await startNode(place, { index: 9, mac })
  let struck: Promise<void> | undefined
  try {
    await plugBehindCable(place, 9)
    const boot = await watchBoot(api, node, {
      since,
      timeout: 240_000,
      onStage: ({ stage }) => {
        if (blow && stage === 'script') struck ??= strike(place, blow)
      },
    })
    await struck
    return {
      condition: name,
      nodes: '1 in QEMU',
      ready: boot.outcome === 'ready' ? 1 : 0,
      of: 1,
      seconds: (Date.now() - since) / 1000,
      said: [],
      holds: boot.outcome === 'ready',
    }
  } catch (error) {
    const reason = (error as Error).message
    return { condition: name, nodes: '1 in QEMU', ready: 0, of: 1, seconds: 0, said: [reason], holds: false }
  } finally {
    await struck?.catch(() => {})
    await node.stop()
    await rm(node.serial.path, { force: true })
    await removeCable(place, cable)
  }
}
