import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bootsOf } from '../../src/state/boots.ts'
import { updateNode } from '../../src/state/nodes.ts'
import type { Digest } from '../../src/store/digest.ts'
import { type Fixture, initramfs, kernel, mac, putBundle, startFixture } from './fixture.ts'

/** The nginx.conf of docs/guides/rack-cache.md as it stands there, but for its addresses and paths. */
let fixture: Fixture
let bundle: Digest
let cache: { readonly url: string; stop(): Promise<void> }
const second = '52:54:00:aa:00:02'

beforeAll(async () => {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  fixture = await startFixture({ http: { caches: [{ subnet: '127.0.0.0/8', url }] } })
  bundle = await putBundle(fixture.store)
  for (const each of [mac, second]) {
    const assignment = { blueprint: 'apache', bundle }
    await updateNode(fixture.state.redis, each, () => ({ mac: each, groups: [], assignment }))
  }
  cache = await startCache(port)
})
afterAll(async () => {
  await cache?.stop()
  await fixture.close()
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as import('node:net').AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function startCache(port: number) {
  const directory = await mkdtemp(join(tmpdir(), 'rack-cache-'))
  const guide = await readFile(new URL('../../docs/guides/rack-cache.md', import.meta.url), 'utf8')
  const settings = /```nginx\n([\s\S]*?)```/
    .exec(guide)![1]!
    .replace('user www-data;', process.getuid?.() === 0 ? 'user root;' : '')
    .replace('listen 8080;', `listen 127.0.0.1:${port};`)
    .replace('http://10.77.0.1:8080', fixture.server.url)
    .replace('/var/cache/bootloom', join(directory, 'cache'))
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${join(directory, name)};`,
  )
  await writeFile(join(directory, 'nginx.conf'), settings.replace('http {', `http {\n${temporary.join('\n')}`))
  const main = `daemon off; pid ${join(directory, 'pid')};`
  const child = spawn('nginx', ['-p', directory, '-e', 'stderr', '-c', join(directory, 'nginx.conf'), '-g', main], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (bytes) => {
    said += bytes
  })
  const url = `http://127.0.0.1:${port}`
  const stop = async () => {
    const gone = child.exitCode === null && new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGTERM')
    await gone
    await rm(directory, { recursive: true, force: true })
  }
  for (let tries = 0; tries < 100; tries++) {
    if (await fetch(url).catch(() => undefined)) return { url, stop }
    await sleep(50)
  }
  await stop()
  throw new Error(`nginx does not answer: ${said}`)
}

/** As iPXE does: the script, then what it names. Returns what the cache said of each file. */
async function boot(address: string): Promise<(string | null)[]> {
  const script = await (await fixture.get(`/ipxe?mac=${address}`)).text()
  const urls = [/^kernel --name kernel (\S+)/m, /^initrd --name bundle (\S+)/m].map((line) => line.exec(script)![1]!)
  const said = []
  for (const [index, url] of urls.entries()) {
    expect(url.startsWith(`${cache.url}/bundle/`)).toBe(true)
    const answer = await fetch(url)
    expect(Buffer.from(await answer.arrayBuffer()).equals([kernel, initramfs][index]!)).toBe(true)
    said.push(answer.headers.get('x-cache'))
  }
  // Its own things come from the server itself.
  expect(/^initrd --name overlay (\S+)/m.exec(script)![1]!.startsWith(fixture.server.url)).toBe(true)
  return said
}

test("the second node's kernel and initramfs come out of the cache, and Bootloom sends them once", async () => {
  expect(await boot(mac)).toEqual(['MISS', 'MISS'])
  expect(await boot(second)).toEqual(['HIT', 'HIT'])
  await fixture.boots.flush()
  const stagesOf = async (address: string) =>
    (await bootsOf(fixture.state.redis, address))[0]!.stages.map((at) => at.stage)
  expect(await stagesOf(mac)).toEqual(['script', 'kernel', 'initramfs'])
  expect(await stagesOf(second)).toEqual(['script'])
})

test('ranges and HEAD are answered out of the cache, with the tag', async () => {
  const url = `${cache.url}/bundle/${bundle}/initramfs`
  await (await fetch(url)).arrayBuffer()
  const part = await fetch(url, { headers: { range: 'bytes=900-1100' } })
  expect([part.status, part.headers.get('x-cache'), part.headers.get('etag')]).toEqual([206, 'HIT', `"${bundle}"`])
  expect(Buffer.from(await part.arrayBuffer()).equals(initramfs.subarray(900, 1101))).toBe(true)
  const head = await fetch(url, { method: 'HEAD' })
  expect(head.headers.get('content-length')).toBe(String(initramfs.length))
})

test('twenty nodes that want the same at once cost one fetch', async () => {
  const other = await putBundle(fixture.store, { blueprint: 'other' })
  const said = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const answer = await fetch(`${cache.url}/bundle/${other}/initramfs`)
      expect((await answer.arrayBuffer()).byteLength).toBe(initramfs.length)
      return answer.headers.get('x-cache')
    }),
  )
  expect(said.filter((word) => word === 'MISS').length).toBe(1)
})

test('errors are not kept, and what belongs to one node is not there at all', async () => {
  const absent = `${cache.url}/bundle/sha256:${'0'.repeat(64)}/kernel`
  for (const _ of [1, 2]) {
    const answer = await fetch(absent)
    expect([answer.status, answer.headers.get('x-cache')]).toEqual([404, null])
  }
  for (const path of [`/ipxe?mac=${mac}`, '/boot.ipxe', `/overlay?mac=${mac}&boot=x`, `/nocloud/${mac}/user-data`]) {
    expect((await fetch(cache.url + path)).status).toBe(404)
    expect((await fixture.get(path)).headers.get('cache-control')).toBe('no-store')
  }
  expect((await fetch(`${cache.url}/report?mac=${mac}`, { method: 'POST' })).status).toBe(404)
})

test('a node whose cache failed is told to load from Bootloom itself', async () => {
  const script = await (await fixture.get(`/ipxe?mac=${mac}`)).text()
  const again = /^chain .*?(\/ipxe\S+)/m.exec(script)![1]!
  expect(await (await fixture.get(again)).text()).not.toContain(cache.url)
})
