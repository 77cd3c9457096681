import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Digest, digestOf } from '../../src/store/digest.ts'
import { memoryFiles } from '../store/memory-files.ts'
import { type Fixture, putBundle, startFixture } from './fixture.ts'

/** Sent from files in memory, and written, by turns. */
const parts = [3_000_000, 100, 300_000, 21_000_001, 70_000, 262_144, 1].map((size) => randomBytes(size))
const whole = Buffer.concat(parts)

let fixture: Fixture
let bundle: Digest
let path: string

beforeAll(async () => {
  fixture = await startFixture()
  bundle = await putBundle(fixture.store, { blueprint: 'large', parts })
  path = `/bundle/${bundle}/initramfs`
})
afterAll(() => fixture.close())

/** Not `toEqual`, which would print 24 MB. */
const same = (got: Buffer, expected: Buffer) => expect(digestOf(got)).toBe(digestOf(expected))

describe('what is large enough to be sent from where it lies', () => {
  test('comes whole, to many at once', async () => {
    const fetched = Array.from({ length: 8 }, async () => Buffer.from(await (await fixture.get(path)).arrayBuffer()))
    for (const got of await Promise.all(fetched)) same(got, whole)
  })

  test.each([
    ['of one part', 10, 2_500_000],
    ['over a boundary', 2_999_999, 3_000_000],
    ['over small and large parts', 2_700_000, 3_400_000],
    ['that begins late in a part', 24_000_000, whole.length - 1],
    ['just too small', 3_300_100, 3_300_100 + 262_142],
    ['just large enough', 3_300_100, 3_300_100 + 262_143],
  ])('a range %s is cut at the byte', async (_name, start, end) => {
    const answer = await fixture.get(path, { range: `bytes=${start}-${end}` })
    expect(answer.status).toBe(206)
    same(Buffer.from(await answer.arrayBuffer()), whole.subarray(start, end + 1))
  })

  test('three that are asked for at once on one connection come one after the other', async () => {
    const { port } = new URL(fixture.server.url)
    const socket = connect(Number(port), '127.0.0.1')
    const asked = (range: string, last = false) =>
      `GET ${path} HTTP/1.1\r\nHost: x\r\nRange: bytes=${range}\r\n${last ? 'Connection: close\r\n' : ''}\r\n`
    socket.write(asked('0-1999999') + asked('5000000-9999999') + asked(`${whole.length - 400_000}-`, true))
    const got: Buffer[] = []
    socket.on('data', (bytes) => got.push(bytes))
    await once(socket, 'close')
    let rest = Buffer.concat(got)
    for (const [start, end] of [
      [0, 2_000_000],
      [5_000_000, 10_000_000],
      [whole.length - 400_000, whole.length],
    ] as const) {
      const head = rest.indexOf('\r\n\r\n') + 4
      expect(String(rest.subarray(0, head))).toContain(`bytes ${start}-${end - 1}/${whole.length}`)
      same(rest.subarray(head, head + end - start), whole.subarray(start, end))
      rest = rest.subarray(head + end - start)
    }
    expect(rest.length).toBe(0)
  })

  test('a reader that goes away in the middle leaves the others alone, and no file open', async () => {
    const gone = Array.from({ length: 20 }, async () => {
      const asked = request(fixture.server.url + path).end()
      const [answer] = (await once(asked, 'response')) as [import('node:http').IncomingMessage]
      await once(answer, 'data')
      answer.on('error', () => {}).destroy()
    })
    const stays = fixture.get(path).then(async (answer) => Buffer.from(await answer.arrayBuffer()))
    await Promise.all(gone)
    same(await stays, whole)
    // One for each part that is large enough, whoever read it.
    expect(memoryFiles().filter((name) => parts.some((part) => name === digestOf(part)))).toHaveLength(4)
  })
})

test('a cap holds there, too', async () => {
  const capped = await startFixture({ http: { bandwidth: { perNode: 40_000_000 } } })
  try {
    const digest = await putBundle(capped.store, { blueprint: 'large', parts: [whole] })
    const began = performance.now()
    const answer = await capped.get(`/bundle/${digest}/initramfs`)
    same(Buffer.from(await answer.arrayBuffer()), whole)
    // 24.6 MB, a twentieth of a second saved up: it cannot take less, however fast the machine is.
    expect(performance.now() - began).toBeGreaterThan(500)
  } finally {
    await capped.close()
  }
})
