import { existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import { BootloomError } from '../src/config/errors.ts'
import type { OnProgress } from '../src/config/progress.ts'
import { createNamespace, inside, namespaceExists, removeNamespace } from '../src/machine/namespace.ts'
import { end } from '../src/machine/process.ts'
import { endAbandoned } from './abandoned.ts'
import { fetchInside } from './fetch.ts'
import { network, type Place, paths } from './place.ts'
import { forget, type Recorded, recorded, remember, runningAs, startDaemon, untilReady } from './processes.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const httpPort = 8080

export interface UpOptions {
  /** Merged over the lab's own settings, key by key at the top: what a test wants otherwise. */
  readonly settings?: Readonly<Record<string, unknown>>
  readonly progress?: OnProgress
  readonly signal?: AbortSignal
  /** Take the lab down with this process's end: another run finds it held. Default false: it stays up. */
  readonly held?: boolean
}

/**
 * Brings a lab up: the namespace with its bridge, and Bootloom twice on one state directory. `control` runs outside
 * (the admin API, the repository, observing and weaving need the machine's network), `boot` inside (DHCP, TFTP and what
 * nodes ask by HTTP). First removes what a crashed run left. State is kept from run to run.
 */
export async function up(place: Place, options: UpOptions = {}): Promise<void> {
  const { progress = () => {}, signal } = options
  refuseHeld(place)
  await down(place)
  await mkdir(place.directory, { recursive: true })
  if (options.held) remember(place, holder, process.pid)
  try {
    progress({ step: 'network namespace', detail: `${place.name}, ${network.subnet}` })
    await writeFile(paths.settings(place), stringify({ ...settingsOf(place), ...options.settings }))
    await createNamespace(place.name)
    // The one after the other: the first starts Redis, the second finds it.
    progress({ step: 'server', detail: 'control: API, repository, weaving' })
    await startControl(place, signal)
    progress({ step: 'server', detail: 'boot: DHCP, TFTP, HTTP' })
    await startBoot(place, signal)
  } catch (error) {
    await down(place)
    throw error
  }
}

/** Ends the lab's processes and removes its namespace: of this run, or of one that crashed. Its state is kept. */
export async function down(place: Place): Promise<void> {
  refuseHeld(place)
  const processes = recorded(place)
  // Nodes first, then the servers, which close what they keep in Redis; then whatever nobody wrote down.
  const isServer = ({ what }: Recorded) => what === 'control' || what === 'boot'
  await Promise.all(
    processes.filter((process) => !isServer(process) && process.what !== holder).map((each) => end(each)),
  )
  for (const what of ['boot', 'control']) {
    for (const process of processes) if (process.what === what) await end(process, 10_000)
  }
  await endAbandoned(place)
  await removeNamespace(place.name)
  for (const { what } of processes) forget(place, what)
  await rm(paths.api(place), { force: true })
}

export interface Status {
  readonly name: string
  readonly directory: string
  readonly up: boolean
  readonly namespace: boolean
  readonly processes: readonly { readonly what: string; readonly pid: number }[]
}

export async function status(place: Place): Promise<Status> {
  const processes = recorded(place).flatMap(({ what, pid }) => (runningAs(place, what) ? [{ what, pid }] : []))
  const namespace = await namespaceExists(place.name)
  const has = (what: string) => processes.some((process) => process.what === what)
  return { ...place, up: namespace && has('control') && has('boot'), namespace, processes }
}

/** LAB_NOT_UP unless both servers run. */
export async function requireUp(place: Place): Promise<void> {
  if (!(await status(place)).up) throw new BootloomError('LAB_NOT_UP', `the lab ${place.name} is not up`)
}

/** The process whose end is the lab's end, while it runs. */
const holder = 'holder'

function refuseHeld(place: Place): void {
  const held = runningAs(place, holder)
  if (held && held.pid !== process.pid) {
    throw new BootloomError('LAB_IN_USE', `the lab ${place.name} is held by process ${held.pid}`)
  }
}

function settingsOf(place: Place): Record<string, unknown> {
  return {
    state: paths.state(place),
    network: { interface: network.bridge, address: network.address },
    dhcp: { subnets: [{ subnet: network.subnet, range: network.range }] },
    http: { port: httpPort },
  }
}

function startServer(
  place: Place,
  role: 'control' | 'boot',
  { wrapper = [], within = role === 'boot' }: { wrapper?: readonly string[]; within?: boolean } = {},
): Recorded {
  const launcher = join(root, 'src/bootloom.sh')
  const serve = [...wrapper, 'sh', launcher, 'serve', '--config', paths.settings(place), '--role', role]
  const command = within ? inside(place.name, serve) : serve
  return startDaemon(place, { what: role, command: [command[0]!, ...command.slice(1)], directory: place.directory })
}

/** `within`: in the namespace, as on a machine that nodes can be reached from; it has no other network then. */
export async function startControl(place: Place, signal?: AbortSignal, within = false): Promise<void> {
  await untilReady(place, {
    process: startServer(place, 'control', { within }),
    named: "the lab's server (control)",
    timeout: 60_000,
    isReady: async () => existsSync(paths.api(place)) && apiAnswers(paths.api(place)),
    ...(signal ? { signal } : {}),
  })
}

/**
 * Starts the server that answers nodes, and waits until it does. `wrapper` is put before its command: what shall run it,
 * as `faketime`.
 */
export async function startBoot(place: Place, signal?: AbortSignal, wrapper: readonly string[] = []): Promise<void> {
  const url = `http://${network.address}:${httpPort}/readyz`
  await untilReady(place, {
    process: startServer(place, 'boot', { wrapper }),
    named: "the lab's server (boot)",
    timeout: 60_000,
    isReady: () =>
      fetchInside(place.name, url, { patience: 2000 }).then(
        () => true,
        () => false,
      ),
    ...(signal ? { signal } : {}),
  })
}

/** Any answer will do: the server listens and speaks HTTP. */
function apiAnswers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request({ socketPath, path: '/v1/nodes', timeout: 2000 }, (response) => {
      response.resume()
      resolve((response.statusCode ?? 500) < 500)
    })
    asked.on('timeout', () => asked.destroy())
    asked.on('error', () => resolve(false))
    asked.end()
  })
}
