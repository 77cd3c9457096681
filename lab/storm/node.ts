import { setTimeout as sleep } from 'node:timers/promises'
import type { Addresses } from './addresses.ts'
import { type DhcpPort, habits, obtainLease } from './dhcp-client.ts'
import { HttpConnection } from './http-client.ts'
import { expand, runScript } from './ipxe-script.ts'
import { StageFailure, type StageName, type StormEvent } from './plan.ts'
import { fetchByTftp } from './tftp-client.ts'

/** What all simulated nodes share. */
export interface World {
  readonly port: DhcpPort
  readonly addresses: Addresses
  readonly kernelSeconds: number
  readonly tell: (event: StormEvent) => void
  readonly count: (what: 'tftp' | 'http' | 'hashed', bytes: number) => void
  readonly random: () => number
}

export interface SimulatedNode {
  readonly mac: string
  /** Its ROM is no iPXE and loads one by TFTP. */
  readonly byTftp: boolean
  readonly hashing: boolean
  /** Milliseconds from power-on. */
  readonly patience: number
}

/** Seconds after which a BIOS that found nothing to boot tries again, as the lab's are set to. */
const rebootAfter = 3

/** One node from power-on to ready; what fails is told and tried again as firmware does, until its time is up. */
export async function live(node: SimulatedNode, world: World): Promise<void> {
  const { mac } = node
  const began = performance.now()
  world.tell({ type: 'on', mac })
  for (;;) {
    try {
      const boot = await powerOn(node, world)
      world.tell({ type: 'stage', mac, stage: 'power-on to ready', took: performance.now() - began })
      world.tell({ type: 'ready', mac, boot })
      return
    } catch (error) {
      const stage = error instanceof StageFailure ? error.stage : 'simulation'
      const reason = (error as Error).message
      if (performance.now() - began > node.patience) {
        world.tell({ type: 'failed', mac, stage, reason })
        return
      }
      world.tell({ type: 'trouble', mac, stage, reason })
      await sleep(rebootAfter * 1000)
    }
  }
}

async function powerOn(node: SimulatedNode, world: World): Promise<string> {
  const { mac } = node
  const timed = async <T>(stage: StageName, work: () => Promise<T>): Promise<T> => {
    const began = performance.now()
    const result = await work()
    world.tell({ type: 'stage', mac, stage, took: performance.now() - began })
    return result
  }
  const lease = (stage: StageName, habit: (typeof habits)[keyof typeof habits]) =>
    timed(stage, async () => {
      const got = await obtainLease(world.port, habit, { mac, stage, random: world.random })
      await world.addresses.add(got.address)
      return got
    })

  if (node.byTftp) {
    const rom = await lease('rom-dhcp', habits.rom)
    if (rom.file === '') throw new StageFailure('rom-dhcp', 'the ACK names no boot file')
    world.count('tftp', await timed('tftp', () => fetchByTftp(rom.address, rom.server, rom.file)))
  }
  const { address, file } = await lease('dhcp', habits.ipxe)
  if (!file.startsWith('http://')) throw new StageFailure('dhcp', `iPXE is given "${file}" to boot`)
  const commandLine = await bootByScript(node, world, { address, file }, timed)
  await sleep(world.kernelSeconds * 1000)
  const running = await lease('os-dhcp', habits.os)
  await timed('reports', () => report(running.address, commandLine, mac))
  return commandLine.get('boot') ?? ''
}

/** Everything iPXE does, on its one connection. Returns what `bootloom.…=` of the command line says. */
async function bootByScript(
  { mac, hashing }: SimulatedNode,
  world: World,
  { address, file }: { address: string; file: string },
  timed: <T>(stage: StageName, work: () => Promise<T>) => Promise<T>,
): Promise<Map<string, string>> {
  const variables = {
    'netX/mac': mac,
    'net0/mac': mac,
    mac,
    uuid: '',
    serial: '',
    platform: 'pcbios',
    buildarch: 'i386',
  }
  const origin = new URL(expand(file, variables))
  const connection = new HttpConnection(address, origin.hostname, Number(origin.port || 80))
  const commandLine = new Map<string, string>()
  /** A path as it is written: `URL` would change what iPXE sends as it is. */
  const pathOf = (url: string) => url.slice(origin.origin.length)
  let scriptBegan = performance.now()
  try {
    const first = await connection.request('script', pathOf(expand(file, variables)))
    if (first.status !== 200) throw new StageFailure('script', `status ${first.status} for ${file}`)
    await runScript(first.text, variables, {
      sleep: (seconds) => sleep(seconds * 1000),
      async chain(url) {
        const answer = await connection.request('script', pathOf(url)).catch((error: Error) => error)
        const ok = !(answer instanceof Error) && answer.status === 200
        if (!ok) world.tell({ type: 'trouble', mac, stage: 'script', reason: reasonOf(answer) })
        return ok ? answer.text : undefined
      },
      async fetch(kind, name, url, words) {
        if (kind === 'kernel')
          world.tell({ type: 'stage', mac, stage: 'script', took: performance.now() - scriptBegan })
        const stage = kind === 'kernel' ? 'kernel' : name === 'overlay' ? 'overlay' : 'initramfs'
        const as = stage === 'overlay' ? 'text' : hashing ? 'hash' : 'count'
        const answer = await timed(stage, () => connection.request(stage, pathOf(url), { as })).catch((e: Error) => e)
        scriptBegan = performance.now()
        if (answer instanceof Error || answer.status !== 200 || answer.bytes === 0) {
          world.tell({ type: 'trouble', mac, stage, reason: reasonOf(answer) })
          return false
        }
        world.count('http', answer.bytes)
        if (answer.sha256 !== undefined) {
          world.count('hashed', answer.bytes)
          world.tell({ type: 'digest', what: `${stage} ${url.split('?')[0]}`, sha256: answer.sha256 })
        }
        for (const word of words) {
          const said = /^bootloom\.(\w+)=(.*)$/.exec(word)
          if (said) commandLine.set(said[1]!, said[2]!)
        }
        return true
      },
    })
  } finally {
    connection.close()
  }
  return commandLine
}

const reasonOf = (answer: Error | { status: number; text: string }): string =>
  answer instanceof Error ? answer.message : `status ${answer.status} ${answer.text.slice(0, 120)}`.trim()

/** As boot/report.sh: each on a connection of its own, three attempts, five seconds each. */
async function report(from: string, commandLine: ReadonlyMap<string, string>, mac: string): Promise<void> {
  const server = new URL(commandLine.get('server') ?? '')
  for (const stage of ['init', 'network', 'app', 'ready']) {
    let taken = false
    let why = ''
    for (const pause of [0, 1, 2]) {
      await sleep(pause * 1000)
      const connection = new HttpConnection(from, server.hostname, Number(server.port || 80))
      const path = `/report?mac=${mac}&boot=${commandLine.get('boot')}&stage=${stage}&uptime=3.21`
      const answer = await connection
        .request('reports', path, { method: 'POST', body: '\n', patience: 5000 })
        .catch((error: Error) => error)
      connection.close()
      taken = !(answer instanceof Error) && answer.status === 200
      if (taken) break
      why = reasonOf(answer)
    }
    if (!taken && stage === 'ready') throw new StageFailure('reports', `ready was not taken: ${why}`)
  }
}
