import { BootloomError } from '../src/config/errors.ts'
import type { ApiClient } from '../src/http/api-client.ts'
import type { LabNode } from './node.ts'
import { until } from './wait.ts'

export interface BootStage {
  readonly stage: string
  /** Milliseconds since 1970. */
  readonly at: number
  /** Whose DHCP exchange. */
  readonly by?: string
  readonly detail?: string
  readonly address?: string
  readonly bytes?: number
}

export interface WatchedBoot {
  readonly id: string
  readonly bundle?: string
  readonly outcome?: string
  readonly reason?: string
  readonly lines?: readonly string[]
  readonly stages: readonly BootStage[]
}

interface WatchOptions {
  /** Milliseconds since 1970: earlier boots do not count. */
  readonly since: number
  /** Milliseconds. */
  readonly timeout: number
  readonly signal?: AbortSignal
  /** Each stage once, as it becomes known. */
  readonly onStage?: (stage: BootStage) => void
}

/** Milliseconds in which neither the server nor the console tells anything new of a node. */
const silence = 120_000

/**
 * Follows a node's boot by the server's account of it until it is ready. LAB_TIMEOUT with the stage that was seen last
 * and the console's last lines when it does not get there, or nothing new is seen of it for two minutes; LAB_FAILED when
 * the node reports that it failed, or ends.
 */
export async function watchBoot(api: ApiClient, node: LabNode, options: WatchOptions): Promise<WatchedBoot> {
  const { mac } = node.settings
  const told = new Set<string>()
  const look = async () => {
    const { boots } = await api.request<{ boots: readonly WatchedBoot[] }>('GET', `/v1/nodes/${mac}`)
    const boot = boots[0]
    const stages = (boot?.stages ?? []).filter(({ at }) => at >= options.since)
    for (const stage of stages) {
      const name = `${boot?.id} ${stage.stage} ${stage.at}`
      if (!told.has(name)) options.onStage?.(stage)
      told.add(name)
    }
    if (boot && stages.length > 0 && boot.outcome === 'ready') return { found: boot }
    if (boot && stages.length > 0 && boot.outcome === 'failed') {
      const reason = boot.reason ?? stages.at(-1)?.detail ?? 'no reason given'
      throw new BootloomError('LAB_FAILED', `node ${mac} reports that it failed: ${reason}`, {
        where: node.serial.path,
        details: boot.lines ?? lastOf(node),
      })
    }
    if (!node.running) {
      const message = `the virtual machine of node ${mac} ended while it booted`
      throw new BootloomError('LAB_FAILED', message, { where: node.serial.path, details: lastOf(node) })
    }
    const stage = stages.at(-1)?.stage ?? 'no stage at all'
    return { seen: `${stage}, and ${node.serial.text().length} letters on its console` }
  }
  const { timeout, signal } = options
  const details = () => lastOf(node)
  return until(`node ${mac} is ready`, look, { timeout, silence, signal, where: node.serial.path, details })
}

const lastOf = (node: LabNode) => node.serial.text().trimEnd().split('\n').slice(-12)

/** The address that the node has: the last one that its boot was given or reports. */
export function addressOf(boot: WatchedBoot): string | undefined {
  const telling = boot.stages.filter(({ stage }) => ['script', 'ack', 'network', 'app', 'ready'].includes(stage))
  const named = telling.flatMap(({ address, detail }) => address ?? detail?.match(/\b\d{1,3}(?:\.\d{1,3}){3}\b/) ?? [])
  return named.at(-1)
}
