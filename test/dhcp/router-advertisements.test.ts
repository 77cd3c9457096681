import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'

/** radvd as our child, in a namespace of its own. */
const namespace = `ra-${process.pid}`
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
  const start = (mode: string) => {
    const words = ['netns', 'exec', namespace, process.execPath, advertise, mode, state]
    child = spawn('ip', words, { stdio: 'ignore' })
  }
  beforeAll(async () => {
    state = await mkdtemp(join(tmpdir(), 'ra-'))
    await execa('ip', ['netns', 'add', namespace])
    await inside('ip', 'link', 'add', 'boot0', 'type', 'veth', 'peer', 'name', 'node0')
    for (const end of ['boot0', 'node0']) await inside('ip', 'link', 'set', end, 'up')
  })
  afterAll(async () => {
    child?.kill('SIGKILL')
    await execa('ip', ['netns', 'delete', namespace])
    await rm(state, { recursive: true, force: true })
  })
  const until = (holds: (pids: number[]) => boolean) =>
    vi.waitUntil(async () => holds(await running()), { timeout: 8000, interval: 50 })

  test('radvd runs as nobody’s router, is started again when it dies, and ends with us even when we are killed', async () => {
    start('auto')
    await until((pids) => pids.length > 0)
    expect(await readFile(join(state, 'radvd', 'radvd.conf'), 'utf8')).toMatch(/AdvDefaultLifetime 0;/)
    const first = await running()
    for (const pid of first) process.kill(pid, 'SIGKILL')
    await until((pids) => pids.length > 0 && !pids.some((pid) => first.includes(pid)))
    child?.kill('SIGKILL')
    await until((pids) => pids.length === 0)
  })

  test('an interface without IPv6 has none, and neither has `off`', async () => {
    start('off')
    await new Promise((resolve) => setTimeout(resolve, 800))
    expect(await running()).toEqual([])
    child?.kill('SIGKILL')
    await inside('sh', '-c', 'echo 1 >/proc/sys/net/ipv6/conf/boot0/disable_ipv6')
    start('auto')
    await new Promise((resolve) => setTimeout(resolve, 800))
    expect(await running()).toEqual([])
  })
})
