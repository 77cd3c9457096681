import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'

/** radvd as our child, in a namespace of its own; on the other end of its cable stands who may be a router too. */
const namespace = `ra-${process.pid}`
const beyond = `ra-${process.pid}-beyond`
const advertise = fileURLToPath(new URL('./advertise-until-killed.ts', import.meta.url))

const inside = (...words: string[]) => execa('ip', ['netns', 'exec', namespace, ...words], { reject: false })

/** Process ids of radvd inside. */
async function running(): Promise<number[]> {
  const pids = (await execa('ip', ['netns', 'pids', namespace])).stdout.split('\n').filter((line) => line !== '')
  const names = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')))
  return pids.filter((_pid, i) => names[i] === 'radvd\n').map(Number)
}

describe.runIf(process.getuid?.() === 0)('router advertisements', () => {
  let state: string
  let child: ChildProcess | undefined
  let events: { event: string; router?: string }[] = []
  const start = (mode: string) => {
    const words = ['netns', 'exec', namespace, process.execPath, advertise, mode, state]
    child = spawn('ip', words, { stdio: ['ignore', 'ignore', 'pipe'] })
    events = []
    createInterface({ input: child.stderr! }).on('line', (line) => events.push(JSON.parse(line)))
  }
  beforeAll(async () => {
    state = await mkdtemp(join(tmpdir(), 'ra-'))
    for (const name of [namespace, beyond]) await execa('ip', ['netns', 'add', name])
    await inside('ip', 'link', 'add', 'boot0', 'type', 'veth', 'peer', 'name', 'node0', 'netns', beyond)
    await execa('ip', ['-n', namespace, 'link', 'set', 'boot0', 'up'])
    await execa('ip', ['-n', beyond, 'link', 'set', 'node0', 'up'])
  })
  afterEach(async () => {
    child?.kill('SIGKILL')
    await until((pids) => pids.length === 0)
  })
  afterAll(async () => {
    for (const name of [namespace, beyond]) await execa('ip', ['netns', 'delete', name])
    await rm(state, { recursive: true, force: true })
  })
  const until = (holds: (pids: number[]) => boolean, timeout = 10_000) =>
    vi.waitUntil(async () => holds(await running()), { timeout, interval: 50 })

  test('radvd runs as nobody’s router, is started again when it dies, and ends with us even when we are killed', async () => {
    start('auto')
    await until((pids) => pids.length > 0)
    expect(await readFile(join(state, 'radvd', 'boot0.conf'), 'utf8')).toMatch(/AdvDefaultLifetime 0;/)
    const first = await running()
    for (const pid of first) process.kill(pid, 'SIGKILL')
    await until((pids) => pids.length > 0 && !pids.some((pid) => first.includes(pid)))
    child?.kill('SIGKILL')
    await until((pids) => pids.length === 0)
  })

  describe('beside another router', () => {
    let router: ChildProcess
    beforeEach(async () => {
      const conf = join(state, 'router.conf')
      await writeFile(conf, 'interface node0 { AdvSendAdvert on; AdvDefaultLifetime 1800; };\n')
      const words = ['--nodaemon', '--config', conf, '--pidfile', join(state, 'router.pid')]
      router = spawn('ip', ['netns', 'exec', beyond, '/usr/sbin/radvd', ...words], { stdio: 'ignore' })
    })
    afterEach(() => void router.kill('SIGTERM'))

    test('`auto` leaves it to that one and says which, and takes over when it is gone', async () => {
      start('auto')
      await vi.waitUntil(() => events.length > 0, { timeout: 25_000 })
      expect(events[0]).toMatchObject({ event: 'router-advertisements-left', router: /^fe80::/ })
      expect(await running()).toEqual([])
      router.kill('SIGTERM')
      await until((pids) => pids.length > 0, 20_000)
      expect(events.map(({ event }) => event)).toEqual(['router-advertisements-left', 'router-advertisements'])
    })

    test('`on` advertises beside it', async () => {
      start('on')
      await until((pids) => pids.length > 0)
    })
  })

  test('an interface without IPv6 has none, and neither has `off`', async () => {
    start('off')
    await new Promise((resolve) => setTimeout(resolve, 800))
    expect(await running()).toEqual([])
    child?.kill('SIGKILL')
    await inside('sh', '-c', 'echo 1 >/proc/sys/net/ipv6/conf/boot0/disable_ipv6')
    start('auto')
    await vi.waitUntil(() => events.length > 0, { timeout: 25_000 })
    expect(events).toEqual([expect.objectContaining({ event: 'router-advertisements-off' })])
    expect(await running()).toEqual([])
  })
})
