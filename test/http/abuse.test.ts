import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import pino from 'pino'
import { afterEach, expect, test } from 'vitest'
import { moveChannel } from '../../src/state/channels.ts'
import { updateNode } from '../../src/state/nodes.ts'
import { type Fixture, initramfs, mac, pattern, putBundle, startFixture } from './fixture.ts'

let fixture: Fixture
const lines: Record<string, unknown>[] = []
const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(JSON.parse(line)) })
afterEach(async () => {
  await fixture.close()
  lines.length = 0
})

const opened = (port: number, from = '127.0.0.1') =>
  new Promise<Socket & { cut?: boolean }>((resolve) => {
    const socket: Socket & { cut?: boolean } = connect({ port, host: '127.0.0.1', localAddress: from })
    socket.on('connect', () => resolve(socket))
    socket.on('error', () => {})
    socket.on('close', () => {
      socket.cut = true
    })
  })

test('one address holds so many connections and no more; others are served, and it is logged once', async () => {
  fixture = await startFixture({ http: { connections: { perAddress: 20, total: 1000 } }, log })
  const port = Number(new URL(fixture.server.url).port)
  const sockets = await Promise.all(Array.from({ length: 300 }, () => opened(port, '127.0.0.7')))
  await expect.poll(() => sockets.filter(({ cut }) => cut).length, { timeout: 25_000 }).toBe(280)
  expect((await fixture.get('/healthz')).status).toBe(200)
  expect(fixture.server.refused.get('CONNECTIONS_OF_ADDRESS')).toBe(280)
  expect(lines.filter(({ kind }) => kind === 'CONNECTIONS_OF_ADDRESS').length).toBe(1)
  for (const socket of sockets) socket.destroy()
})

test('beyond the total, new connections are reset until some are free again', async () => {
  fixture = await startFixture({ http: { connections: { perAddress: 100, total: 30 } }, log })
  const port = Number(new URL(fixture.server.url).port)
  const sockets = await Promise.all(Array.from({ length: 50 }, (_, index) => opened(port, `127.0.0.${index + 2}`)))
  await expect.poll(() => sockets.filter(({ cut }) => cut).length, { timeout: 25_000 }).toBe(20)
  for (const socket of sockets) socket.destroy()
  await expect.poll(async () => (await fixture.get('/healthz').catch(() => undefined))?.status).toBe(200)
})

test('who dribbles its headers is cut after ten seconds, however steadily it dribbles', {
  timeout: 25_000,
}, async () => {
  fixture = await startFixture({ log })
  const socket = await opened(Number(new URL(fixture.server.url).port))
  const began = Date.now()
  socket.write('GET /healthz HTTP/1.1\r\n')
  while (!socket.cut && Date.now() - began < 20_000) {
    socket.write('x: y\r\n')
    await sleep(500)
  }
  expect(socket.cut).toBe(true)
  expect(Date.now() - began).toBeLessThan(14_000)
  expect(fixture.server.refused.get('REQUEST_LATE')).toBe(1)
  expect(lines.filter(({ kind }) => kind === 'REQUEST_LATE').length).toBe(1)
})

test('what is no HTTP is answered once, cut and counted', async () => {
  fixture = await startFixture({ log })
  const port = Number(new URL(fixture.server.url).port)
  for (let times = 0; times < 3; times++) {
    const socket = await opened(port)
    let said = ''
    socket.on('data', (data) => {
      said += data.toString()
    })
    socket.write('\x16\x03\x01 hello\r\n\r\n')
    await expect.poll(() => socket.cut).toBe(true)
    expect(said).toMatch(/^HTTP\/1\.1 400 /)
  }
  expect(fixture.server.refused.get('REQUEST_MALFORMED')).toBe(3)
  expect(lines.filter(({ kind }) => kind === 'REQUEST_MALFORMED').length).toBe(1)
})

test('slow readers do not hold up a node that reads', async () => {
  fixture = await startFixture({ log })
  const parts = [pattern(24 * 1024 * 1024, 5)]
  const url = `${fixture.server.url}/bundle/${await putBundle(fixture.store, { parts })}/initramfs`
  const slow = await Promise.all(
    Array.from({ length: 40 }, (_, index) => {
      const localAddress = `127.0.0.${index + 2}`
      return new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
        request(url, { localAddress }, (answer) => resolve(answer.pause()))
          .on('error', reject)
          .end()
      })
    }),
  )
  const began = Date.now()
  expect((await (await fetch(url)).arrayBuffer()).byteLength).toBe(parts[0]!.length)
  expect(Date.now() - began).toBeLessThan(3000)
  for (const answer of slow) answer.on('error', () => {}).destroy()
})

test("a node that asks for another's script, overlay or report is refused, and it is logged once", async () => {
  const victim = '52:54:00:aa:00:02'
  const holders = new Map([['127.0.0.1', victim]])
  fixture = await startFixture({ log, holders })
  const bundle = await putBundle(fixture.store)
  for (const each of [mac, victim]) {
    const assignment = { blueprint: 'apache', bundle }
    await updateNode(fixture.state.redis, each, () => ({ mac: each, groups: [], assignment }))
  }
  const script = await (await fixture.get(`/ipxe?mac=${victim}`)).text()
  const boot = /boot=([0-9a-f]{24})/.exec(script)![1]!
  expect((await fixture.get(`/overlay?mac=${victim}&boot=${boot}`)).status).toBe(200)
  // The same, from the address of another node, and from one that was not leased at all.
  for (const holder of [mac, undefined]) {
    if (holder) holders.set('127.0.0.1', holder)
    else holders.delete('127.0.0.1')
    for (let times = 0; times < 3; times++) {
      const answer = await fixture.get(`/overlay?mac=${victim}&boot=${boot}`)
      expect([answer.status, await answer.json()]).toMatchObject([403, { error: { code: 'NODE_NOT_YOU' } }])
    }
    expect((await fixture.get(`/report?mac=${victim}&boot=${boot}&stage=failed`, {}, 'POST')).status).toBe(403)
  }
  holders.set('127.0.0.1', mac)
  const refused = await fixture.get(`/ipxe?mac=${victim}`)
  expect(refused.headers.get('x-bootloom-error')).toBe('NODE_NOT_YOU')
  expect(await refused.text()).not.toContain('boot=')
  expect(fixture.server.refused.get('NODE_NOT_YOU')).toBe(9)
  expect(lines.filter(({ kind }) => kind === 'NODE_NOT_YOU').length).toBe(1)
})

test('beyond the admitted, a script says place and time on the screen, and the next goes when one has its overlay', async () => {
  fixture = await startFixture({ http: { admission: 1 } })
  const bundle = await putBundle(fixture.store)
  await moveChannel(fixture.state.redis, { blueprint: 'apache', channel: 'stable', digest: bundle, reason: 'test' })
  const second = '52:54:00:aa:00:02'
  for (const each of [mac, second]) {
    const assignment = { blueprint: 'apache', channel: 'stable' } as const
    await updateNode(fixture.state.redis, each, () => ({ mac: each, groups: [], assignment }))
  }
  const scriptOf = async (each: string) => (await fixture.get(`/ipxe?mac=${each}`)).text()
  const boot = /boot=([0-9a-f]{24})/.exec(await scriptOf(mac))![1]!
  const told = (await scriptOf(second))
    .replaceAll(fixture.server.url, 'http://<server>')
    .replace(/again in \d+ s/, 'again in <n> s')
    .replace(/sleep \d+/, 'sleep <n>')
  await expect(told).toMatchFileSnapshot(new URL('golden/waiting.ipxe', import.meta.url).pathname)
  const pixiecore = await fixture.get(`/v1/boot/${second}`)
  expect([pixiecore.status, Number(pixiecore.headers.get('retry-after'))]).toEqual([
    503,
    expect.toSatisfy((s) => s >= 3),
  ])
  expect(((await pixiecore.json()) as { error: { code: string } }).error.code).toBe('NODE_WAITS')
  expect((await (await fixture.get(`/bundle/${bundle}/initramfs`)).arrayBuffer()).byteLength).toBe(initramfs.length)
  await (await fixture.get(`/overlay?mac=${mac}&boot=${boot}`)).arrayBuffer()
  expect(await scriptOf(second)).toContain('kernel --name kernel')
  expect((await fixture.get(`/v1/boot/${second}`)).status).toBe(200)
})
