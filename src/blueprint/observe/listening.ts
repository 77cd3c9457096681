import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Service } from '../service.ts'
import type { Probe } from '../step-schema.ts'
import { Driver } from './driver.ts'
import { Kept } from './kept.ts'
import { Stage } from './stage.ts'

/** Milliseconds: what listens by then is known, and nothing is waited for once something does and no more comes. */
const patience = 10_000
const settled = 1000

/**
 * Starts services as they are installed, in namespaces of their own, and makes a probe of what they listen on: HTTP where
 * that is answered, else the port. Undefined when nothing listens. Throws OBSERVE_START_FAILED; needs root.
 */
export async function probeByListening(
  services: readonly Service[],
  root: string,
  signal?: AbortSignal,
): Promise<Probe | undefined> {
  const stage = await Stage.open(root, { hostname: 'draft', traced: false, signal })
  const driver = new Driver(stage, services[0]!)
  try {
    const kept = services.map((service) => new Kept(service, stage, patience))
    for (const each of kept) await each.start()
    let ports: readonly number[] = []
    let since = Date.now()
    for (const end = since + patience; Date.now() < end; await sleep(50)) {
      const found = await listeningPorts(stage.pid)
      if (found.length !== ports.length) since = Date.now()
      ports = found
      if (ports.length > 0 && Date.now() - since > settled) break
      for (const each of kept) await each.check()
    }
    const [port] = ports
    return port === undefined ? undefined : await probeOf(port, driver)
  } finally {
    driver.end()
    await stage.end()
  }
}

/** Those that others may reach before those of the loopback, then the lowest. */
async function listeningPorts(pid: number): Promise<number[]> {
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((name) => readFile(`/proc/${pid}/net/${name}`, 'utf8').catch(() => '')),
  )
  const found = new Map<number, boolean>()
  for (const line of tables.join('\n').split('\n')) {
    const [, address, port] = /^\s*\d+: ([0-9A-F]+):([0-9A-F]{4}) \S+ 0A /.exec(line) ?? []
    if (address === undefined) continue
    // 127.0.0.1 and ::1, as proc(5) writes them.
    const isOpen = !/^(0100007F|0{24}01000000)$/.test(address)
    found.set(Number(`0x${port}`), isOpen || (found.get(Number(`0x${port}`)) ?? false))
  }
  return [...found].sort(([a, openA], [b, openB]) => Number(openB) - Number(openA) || a - b).map(([port]) => port)
}

async function probeOf(port: number, driver: Driver): Promise<Probe> {
  const asked = { http: '/', port, expect: { status: 200 } }
  const { ok, detail } = await driver.ask(asked, 3000)
  const status = Number(/^HTTP (\d+)/.exec(detail)?.[1])
  return ok ? asked : status >= 100 && status < 500 ? { ...asked, expect: { status } } : { tcp: port }
}
