import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { run } from '../../src/config/command.ts'
import { BootloomError } from '../../src/config/errors.ts'
import type { ApiClient } from '../../src/http/api-client.ts'
import { network, type Place, paths } from '../place.ts'
import { insideNodes, nodesNamespace, stormSubnet } from '../storm/network.ts'
import { storm } from '../storm/storm.ts'

export const abuses = ['dhcp-starvation', 'tftp-flood', 'slow-readers', 'half-open', 'another-overlay'] as const
export type Abuse = (typeof abuses)[number]

/** A pool that an attacker uses up in a moment. */
export const smallPool = { ...stormSubnet, range: ['10.77.64.0', '10.77.64.199'] } as const

export interface AbuseOutcome {
  readonly abuse: Abuse
  /** Honest nodes that came up while it went on. */
  readonly ready: number
  readonly of: number
  readonly seconds: number
  /** What the attacker says of it. */
  readonly attacker: Readonly<Record<string, number>>
  /** Peak of the server that answers nodes. Bytes. */
  readonly memory: number
  /** How often each event of level warn or error stands in the server's log of this time. */
  readonly logged: Readonly<Record<string, number>>
}

const attacker = fileURLToPath(new URL('./attack.ts', import.meta.url))
const addresses = Array.from({ length: 64 }, (_, i) => `10.77.201.${i + 1}`)

/**
 * An attack, and while it goes on nodes that power on. They were here before: an attacker can take every free address,
 * but none that is somebody's.
 */
export async function abuseWith(place: Place, api: ApiClient, abuse: Abuse, nodes: number): Promise<AbuseOutcome> {
  const nodesOf = { nodes, within: 1, tftpShare: 0.2, kernelSeconds: 0, patience: 60, seed: 7 }
  await storm(place, api, nodesOf)
  const before = logOf(place).length - 1
  let said: Record<string, number> = {}
  const result = await storm(place, api, {
    ...nodesOf,
    async prepare() {
      said = await attack(place, api, abuse)
    },
  })
  return {
    abuse,
    ready: result.readyByServer,
    of: nodes,
    seconds: result.seconds,
    attacker: said,
    memory: result.usage.boot.peakRss,
    logged: counted(logOf(place).slice(before)),
  }
}

/** Resolves when the attack stands; it ends with the nodes' namespace. */
async function attack(place: Place, api: ApiClient, abuse: Abuse): Promise<Record<string, number>> {
  const commands = addresses.map((address) => `address add ${address}/32 dev lo scope host`)
  await run('ip', ['-n', nodesNamespace(place), '-batch', '-'], { input: `${commands.join('\n')}\n` })
  const { stable } = await api.request<{ stable: unknown }>('GET', '/v1/channels/storm')
  const digest = /sha256:[0-9a-f]{64}/.exec(JSON.stringify(stable))?.[0]
  const words = [process.execPath, attacker, abuse, network.address, `/bundle/${digest}/kernel`, ...addresses]
  const [file, ...args] = insideNodes(place, words)
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const line = once(createInterface({ input: child.stdout! }), 'line') as Promise<[string]>
  const said = await Promise.race([line, sleep(60_000, undefined, { ref: false })])
  if (!said) throw new BootloomError('LAB_FAILED', `the attack ${abuse} does not stand`)
  return JSON.parse(said[0]) as Record<string, number>
}

/** Its lines, and behind the last one an empty one. */
const logOf = (place: Place) => readFileSync(paths.log(place, 'boot'), 'utf8').split('\n')

function counted(lines: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const line of lines) {
    const match = /"level":(?:40|50).*"event":"([^"]+)"/.exec(line)
    if (match) counts[match[1]!] = (counts[match[1]!] ?? 0) + 1
  }
  return counts
}
