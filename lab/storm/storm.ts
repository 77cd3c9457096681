import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { BootloomError } from '../../src/config/errors.ts'
import type { ApiClient } from '../../src/http/api-client.ts'
import type { WatchedBoot } from '../boot-watch.ts'
import type { Place } from '../place.ts'
import { runningAs } from '../processes.ts'
import { Account, type StageFigures, type Trouble } from './account.ts'
import { createNodesNamespace, insideNodes, nodesInterface, removeNodesNamespace, withRoomForNodes } from './network.ts'
import type { StormEvent, StormPlan } from './plan.ts'
import { type Usage, UsageWatch } from './usage.ts'

export interface StormResult {
  readonly nodes: number
  readonly ready: number
  /** Of the ready ones, those that the server's own account says are ready. */
  readonly readyByServer: number
  /** From the first power-on to the last node's ready. */
  readonly seconds: number
  readonly perMinute: number
  readonly bytes: { readonly tftp: number; readonly http: number; readonly hashed: number }
  /** What was fetched twice with different bytes. */
  readonly differing: readonly string[]
  readonly stages: readonly StageFigures[]
  /** Nodes that were given up, and why. */
  readonly failures: readonly Trouble[]
  /** What nodes met and overcame. */
  readonly troubles: readonly Trouble[]
  /** `boot` answers the nodes, `control` the admins; `clients` is the simulation. */
  readonly usage: { readonly [who in 'boot' | 'control' | 'redis' | 'clients']: Usage }
}

export interface StormOptions extends Partial<Omit<StormPlan, 'interface' | 'nodes'>> {
  readonly nodes: number
  /** Called now and then with the account as it stands. */
  readonly onView?: (account: Account) => void
  /** Called once the nodes' network stands, before the first power-on: chaos puts itself in its way. */
  readonly prepare?: () => Promise<void>
  readonly signal?: AbortSignal
}

const simulator = fileURLToPath(new URL('./simulate.ts', import.meta.url))

/** Lets a storm loose on a lab that is up and whose unknown nodes boot something. */
export function storm(place: Place, api: ApiClient, options: StormOptions): Promise<StormResult> {
  return withRoomForNodes(async () => {
    await createNodesNamespace(place)
    try {
      await options.prepare?.()
      return await rage(place, api, options)
    } finally {
      await removeNodesNamespace(place)
    }
  })
}

async function rage(place: Place, api: ApiClient, options: StormOptions): Promise<StormResult> {
  const { onView, prepare: _prepare, signal, ...wanted } = options
  const plan: StormPlan = {
    seed: 1,
    within: 5,
    tftpShare: 0.1,
    hashShare: 0.05,
    kernelSeconds: 2,
    patience: 180,
    ...wanted,
    interface: nodesInterface,
  }
  const pidOf = (what: string) => runningAs(place, what)?.pid ?? 0
  const account = new Account()
  const [file, ...words] = insideNodes(place, [process.execPath, simulator, JSON.stringify(plan)])
  const child = spawn(file, words, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], detached: true })
  const watches = {
    boot: new UsageWatch([pidOf('boot')]),
    control: new UsageWatch([pidOf('control')]),
    clients: new UsageWatch([child.pid!]),
  }
  const timer = setInterval(() => onView?.(account), 1000)
  const onAbort = () => child.kill('SIGKILL')
  signal?.addEventListener('abort', onAbort)
  let said = ''
  child.stderr!.on('data', (data: Buffer) => {
    said = (said + data.toString()).slice(-4000)
  })
  child.on('message', (event) => account.take(event as StormEvent))
  try {
    const [code] = (await once(child, 'exit')) as [number | null]
    signal?.throwIfAborted()
    if (code !== 0) {
      throw new BootloomError('LAB_FAILED', 'the process that simulates the nodes ended', {
        details: said.trimEnd().split('\n').slice(-8),
      })
    }
    onView?.(account)
    const isRedis = (name: string) => name === 'redis-server'
    // Before the control server is asked for a thousand nodes, which is no part of the storm.
    const usage = {
      boot: watches.boot.usage((name) => !isRedis(name)),
      control: watches.control.usage((name) => !isRedis(name)),
      redis: watches.control.usage(isRedis),
      clients: watches.clients.usage(() => true),
    }
    return {
      nodes: plan.nodes,
      ready: account.ready.size,
      readyByServer: await countReady(api, account.ready),
      seconds: account.seconds,
      perMinute: account.seconds === 0 ? 0 : (account.ready.size / account.seconds) * 60,
      bytes: { tftp: account.bytes.tftp, http: account.bytes.http, hashed: account.bytes.hashed },
      differing: [...account.differing],
      stages: account.stages,
      failures: account.failures,
      troubles: account.troubles,
      usage,
    }
  } finally {
    signal?.removeEventListener('abort', onAbort)
    clearInterval(timer)
    for (const watch of Object.values(watches)) watch.close()
    if (child.exitCode === null) child.kill('SIGKILL')
  }
}

/** Nodes whose boot, by the id that the node was given, the server knows as ready. */
async function countReady(api: ApiClient, ready: ReadonlyMap<string, string>): Promise<number> {
  const all = [...ready]
  let count = 0
  for (let at = 0; at < all.length; at += 20) {
    const answers = await Promise.all(
      all.slice(at, at + 20).map(async ([mac, id]) => {
        const { boots } = await api.request<{ boots: readonly WatchedBoot[] }>('GET', `/v1/nodes/${mac}`)
        return boots.some((boot) => boot.id === id && boot.outcome === 'ready')
      }),
    )
    count += answers.filter((isReady) => isReady).length
  }
  return count
}
