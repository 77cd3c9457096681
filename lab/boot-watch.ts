import { setTimeout as sleep } from 'node:timers/promises'
import { BootloomError } from '../src/config/errors.ts'
import type { ApiClient } from '../src/http/api-client.ts'
import type { LabNode } from './node.ts'

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

/**
 * Follows a node's boot by the server's account of it until it is ready. LAB_TIMEOUT with the console's last lines when
 * it does not get there; LAB_FAILED when the node reports that it failed, or ends.
 */
export async function watchBoot(api: ApiClient, node: LabNode, options: WatchOptions): Promise<WatchedBoot> {
  const { mac } = node.settings
  const deadline = Date.now() + options.timeout
  const told = new Set<string>()
  for (;;) {
    options.signal?.throwIfAborted()
    const { boots } = await api.request<{ boots: readonly WatchedBoot[] }>('GET', `/v1/nodes/${mac}`)
    const boot = boots[0]
    const stages = (boot?.stages ?? []).filter(({ at }) => at >= options.since)
    for (const stage of stages) {
      const name = `${boot?.id} ${stage.stage} ${stage.at}`
      if (!told.has(name)) options.onStage?.(stage)
      told.add(name)
    }
    if (boot && stages.length > 0 && boot.outcome === 'ready') return boot
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
    if (Date.now() > deadline) {
      const message = `node ${mac} is not ready after ${options.timeout / 1000} s`
      throw new BootloomError('LAB_TIMEOUT', message, { where: node.serial.path, details: lastOf(node) })
    }
    await sleep(250, undefined, options.signal ? { signal: options.signal } : {})
  }
}

const lastOf = (node: LabNode) => node.serial.text().trimEnd().split('\n').slice(-12)

/** The address that the node has: the last one that its boot was given or reports. */
export function addressOf(boot: WatchedBoot): string | undefined {
  const telling = boot.stages.filter(({ stage }) => ['ack', 'network', 'app', 'ready'].includes(stage))
  const named = telling.flatMap(({ address, detail }) => address ?? detail?.match(/\b\d{1,3}(?:\.\d{1,3}){3}\b/) ?? [])
  return named.at(-1)
}
