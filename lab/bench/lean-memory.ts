import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { inside } from '../../src/machine/namespace.ts'
import type { Digest } from '../../src/store/digest.ts'
import { addressOf, type WatchedBoot } from '../boot-watch.ts'
import type { LeanLab } from '../kernel/lean-lab.ts'
import { type LabNode, macOf, startNode } from '../node.ts'

/** One request to an application, over the network. */
export type Asking = { readonly contains: string } & (
  | { readonly http: string; readonly port: number }
  | { readonly tcp: number; readonly send: string }
)

interface Tried {
  readonly blueprint: string
  readonly digest: Digest
  /** MiB. */
  readonly memory: number
}

const requests = 100
/** Milliseconds in which a node that comes up at all has come up. */
const patience = 120_000
/** What a console shows when no waiting helps. */
const hopeless =
  /Kernel panic|Initramfs unpacking failed|incomplete: |Out of memory: Killed|System is deadlocked|No space left|Not enough|not enough|not be loaded|exec format|Cannot allocate/i

/** Seconds from power-on until the node reports that its probe is answered. */
export async function readyAt(lab: LeanLab, { blueprint, digest, memory }: Tried): Promise<number> {
  const { node, boot, since } = await lab.boot(blueprint, digest, { memory })
  await node.stop()
  return (boot.stages.find(({ stage }) => stage === 'ready')!.at - since) / 1000
}

/** Whether a node of that memory comes up and answers a hundred requests. */
export async function serves(lab: LeanLab, tried: Tried & { readonly ask: Asking }): Promise<boolean> {
  const { blueprint, digest, memory, ask } = tried
  const mac = macOf(1)
  await lab.api.request('POST', `/v1/channels/${blueprint}/candidate`, { digest })
  await lab.api.request('PUT', `/v1/nodes/${mac}`, { blueprint, channel: 'candidate' })
  const since = Date.now()
  const node = await startNode(lab.place, { index: 1, mac, memory })
  try {
    const boot = await comesUp(lab, node, digest, since)
    const address = boot && addressOf(boot)
    const answered = address !== undefined && (await isAnswered(lab.place.name, ask, address))
    console.error(`  ${blueprint} in ${memory} MiB: ${boot ? (answered ? 'serves' : 'does not answer') : 'not up'}`)
    return answered
  } finally {
    await node.stop()
  }
}

/** At its first try: a node that does not come up is given another bundle after some. */
async function comesUp(lab: LeanLab, node: LabNode, digest: Digest, since: number): Promise<WatchedBoot | undefined> {
  const { mac } = node.settings
  while (Date.now() - since < patience && node.running && !hopeless.test(node.serial.text())) {
    const { boots } = await lab.api.request<{ boots: WatchedBoot[] }>('GET', `/v1/nodes/${mac}`)
    const own = boots.filter(({ stages, bundle }) => bundle !== undefined && stages.some(({ at }) => at >= since))
    const [newest] = own
    if (own.length > 1 || newest?.outcome === 'failed') return undefined
    if (newest?.outcome === 'ready') return newest.bundle === digest ? newest : undefined
    await sleep(200)
  }
  return undefined
}

/** A hundred times, one after the other. */
async function isAnswered(namespace: string, ask: Asking, host: string): Promise<boolean> {
  const step =
    'http' in ask
      ? { http: ask.http, port: ask.port, expect: { status: 200, contains: ask.contains } }
      : { tcp: ask.tcp, send: ask.send, expect: ask.contains }
  const program = fileURLToPath(new URL('../../src/blueprint/drive.ts', import.meta.url))
  const [file, ...words] = inside(namespace, [process.execPath, program])
  const child = spawn(file, words, { stdio: ['pipe', 'pipe', 'ignore'] })
  try {
    child.stdin.write(`${JSON.stringify({ step, host, timeout: 10_000 })}\n`.repeat(requests))
    let good = 0
    for await (const line of createInterface({ input: child.stdout })) {
      if (!(JSON.parse(line) as { ok: boolean }).ok) return false
      if (++good === requests) return true
    }
    return false
  } finally {
    child.kill('SIGKILL')
  }
}

/** The smallest memory in MiB, to 3 % or 2 MiB, in which it works; `from` is where the search begins. */
export async function smallestMemory(from: number, works: (memory: number) => Promise<boolean>): Promise<number> {
  let [low, high] = [0, from]
  while (!(await works(high))) [low, high] = [high, Math.ceil(high * 1.4)]
  if (low === 0) {
    low = Math.floor(high / 1.4)
    while (await works(low)) [low, high] = [Math.floor(low / 1.4), low]
  }
  while (high - low > Math.max(2, high * 0.03)) {
    const middle = Math.floor((low + high) / 2)
    if (await works(middle)) high = middle
    else low = middle
  }
  return high
}
