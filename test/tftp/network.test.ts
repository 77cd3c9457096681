import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { silent } from '../../src/config/log.ts'
import { settingsSchema } from '../../src/config/settings.ts'
import { startTftp, type TftpEvent, type TftpServer } from '../../src/tftp/server.ts'
import { badNetwork } from './bad-network.ts'

const content = randomBytes(150_000)
let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tftp-network-'))
  await writeFile(join(directory, 'file'), content)
})
afterAll(() => rm(directory, { recursive: true, force: true }))

const arrived = async (name: string) => (await readFile(join(directory, name))).equals(content)

describe('on a network that is bad', () => {
  let server: TftpServer
  let events: TftpEvent[]
  beforeAll(async () => {
    const settings = settingsSchema.parse({}).tftp
    const onEvent = (event: TftpEvent) => events.push(event)
    server = await startTftp({ address: '127.0.0.1', port: 0, settings, files: () => [content], log: silent, onEvent })
  })
  afterAll(() => server.close())

  const clients = {
    'curl, lock-step': (port: number) => [
      'curl',
      '-s',
      '--tftp-blksize',
      '1428',
      '-o',
      'got',
      `tftp://127.0.0.1:${port}/file`,
    ],
    'atftp, windows of 8': (port: number) => [
      ...['atftp', '--option', 'blksize 1428', '--option', 'windowsize 8', '--option', 'timeout 1'],
      ...['-g', '-r', 'file', '-l', 'got', '127.0.0.1', String(port)],
    ],
  }
  const networks = {
    'loses 3 %': { loss: 0.03 },
    'repeats 20 %': { duplication: 0.2 },
    'reorders 10 %': { reordering: 0.1 },
    'does all of it': { loss: 0.01, duplication: 0.05, reordering: 0.05 },
  }
  const cases = Object.entries(clients).flatMap(([client, words]) =>
    Object.entries(networks).map(([network, faults]) => [client, network, words, faults] as const),
  )
  test.each(cases)('%s: one that %s', async (_client, _network, words, faults) => {
    events = []
    await rm(join(directory, 'got'), { force: true })
    const network = await badNetwork(server.port, faults)
    try {
      const [command, ...rest] = words(network.port)
      await execa(command!, rest, { cwd: directory, timeout: 20_000, reject: false })
      expect(await arrived('got')).toBe(true)
      await expect.poll(() => events.at(-1)?.type, { timeout: 25_000 }).toBe('sent')
      // Each datagram that is repeated is answered once: the traffic does not double from there on.
      expect(events.filter(({ type }) => type === 'request').length).toBeLessThan(4)
    } finally {
      network.close()
    }
  })
})

describe.runIf(process.getuid?.() === 0)('on a network of a small MTU', () => {
  const namespace = `tftp-${process.pid}`
  const serverProcess = fileURLToPath(new URL('../../lab/bench/tftp-server.ts', import.meta.url))
  let server: ChildProcess
  const inside = (...words: string[]) =>
    execa('ip', ['netns', 'exec', namespace, ...words], { cwd: directory, timeout: 25_000, reject: false })

  beforeAll(async () => {
    await execa('ip', ['netns', 'add', namespace])
    await inside('ip', 'link', 'set', 'lo', 'up', 'mtu', '1280')
    const words = [process.execPath, serverProcess, '127.0.0.1', '69', join(directory, 'file')]
    server = spawn('ip', ['netns', 'exec', namespace, ...words], { stdio: 'ignore' })
    const listens = async () => (await inside('ss', '-lun')).stdout.includes(':69 ')
    await vi.waitUntil(listens, { timeout: 25_000, interval: 100 })
  })
  afterAll(async () => {
    server.kill()
    await execa('ip', ['netns', 'delete', namespace])
  })

  test('blocks come in fragments, windows of them too', async () => {
    for (const window of ['1', '8']) {
      const options = ['--option', 'blksize 1428', '--option', `windowsize ${window}`]
      await inside('atftp', ...options, '-g', '-r', 'file', '-l', `small-${window}`, '127.0.0.1')
      expect(await arrived(`small-${window}`)).toBe(true)
    }
  })
})
