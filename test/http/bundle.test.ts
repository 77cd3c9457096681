import { writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseRange } from '../../src/http/range.ts'
import { bootsOf } from '../../src/state/boots.ts'
import { type Digest, digestOf } from '../../src/store/digest.ts'
import { type Fixture, initramfs, kernel, mac, pattern, putBundle, segments, startFixture } from './fixture.ts'

let fixture: Fixture
let bundle: Digest
let path: string

beforeAll(async () => {
  fixture = await startFixture()
  bundle = await putBundle(fixture.store)
  path = `/bundle/${bundle}/initramfs`
})
afterAll(() => fixture.close())

const bytesOf = async (answer: Response) => Buffer.from(await answer.arrayBuffer())

describe('a bundle by its digest', () => {
  test('kernel and initramfs come whole, with a strong tag and for ever', async () => {
    for (const [name, expected] of [
      ['kernel', kernel],
      ['initramfs', initramfs],
    ] as const) {
      const answer = await fixture.get(`/bundle/${bundle}/${name}`)
      expect(answer.status).toBe(200)
      expect(answer.headers.get('content-length')).toBe(String(expected.length))
      expect(answer.headers.get('etag')).toBe(`"${bundle}"`)
      expect(answer.headers.get('accept-ranges')).toBe('bytes')
      expect(answer.headers.get('cache-control')).toContain('immutable')
      expect((await bytesOf(answer)).equals(expected)).toBe(true)
    }
  })

  test('HEAD tells the length and sends nothing', async () => {
    const answer = await fixture.get(path, {}, 'HEAD')
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-length')).toBe(String(initramfs.length))
    expect((await bytesOf(answer)).length).toBe(0)
  })

  const [first, second] = [segments[0].length, segments[0].length + segments[1].length]
  test.each([
    ['within a segment', 10, 20],
    ['the last byte of one and the first of the next', first - 1, first],
    ['over three segments', first - 5, second + 5],
    ['a whole segment', first, second - 1],
    ['everything', 0, initramfs.length - 1],
  ])('a range %s is cut at the byte', async (_name, start, end) => {
    const answer = await fixture.get(path, { range: `bytes=${start}-${end}` })
    expect(answer.status).toBe(206)
    expect(answer.headers.get('content-range')).toBe(`bytes ${start}-${end}/${initramfs.length}`)
    expect((await bytesOf(answer)).equals(initramfs.subarray(start, end + 1))).toBe(true)
  })

  test('a range beyond the end is refused with the size', async () => {
    const answer = await fixture.get(path, { range: `bytes=${initramfs.length}-` })
    expect(answer.status).toBe(416)
    expect(answer.headers.get('content-range')).toBe(`bytes */${initramfs.length}`)
  })

  test('If-None-Match spares the transfer, If-Range of another bundle gives the whole', async () => {
    expect((await fixture.get(path, { 'if-none-match': `"x", W/"${bundle}"` })).status).toBe(304)
    expect((await fixture.get(path, { 'if-none-match': '"x"' })).status).toBe(200)
    expect((await fixture.get(path, { range: 'bytes=0-9', 'if-range': `"${bundle}"` })).status).toBe(206)
    const other = await fixture.get(path, { range: 'bytes=0-9', 'if-range': '"x"' })
    expect([other.status, (await bytesOf(other)).length]).toEqual([200, initramfs.length])
  })

  test('what is no bundle is refused with a code', async () => {
    const blob = await fixture.store.write(Buffer.from('{"not":"a bundle"}'))
    for (const [digest, status, code] of [
      [blob, 404, 'BUNDLE_UNKNOWN'],
      [digestOf('absent'), 404, 'BUNDLE_UNKNOWN'],
      ['sha256:..', 400, 'DIGEST_INVALID'],
    ] as const) {
      const answer = await fixture.get(`/bundle/${digest}/kernel`)
      expect(answer.status).toBe(status)
      expect(await answer.json()).toMatchObject({ error: { code } })
    }
  })

  test('a damaged segment is never served', async () => {
    const parts = [pattern(400, 9)]
    const digest = await putBundle(fixture.store, { blueprint: 'damaged', parts })
    await writeFile(fixture.store.path(digestOf(parts[0]!)), pattern(400, 10))
    const answer = await fixture.get(`/bundle/${digest}/initramfs`)
    expect(answer.status).toBe(500)
    expect(await answer.json()).toMatchObject({ error: { code: 'BLOB_CORRUPT' } })
  })

  test('a damaged segment further on cuts the connection short of its length', async () => {
    const parts = [pattern(400, 11), pattern(400, 12)]
    const digest = await putBundle(fixture.store, { blueprint: 'damaged', parts })
    await writeFile(fixture.store.path(digestOf(parts[1]!)), pattern(400, 10))
    await expect(fixture.get(`/bundle/${digest}/initramfs`).then(bytesOf)).rejects.toThrow()
  })

  test('a bundle without segments, or with an empty one, is refused rather than served with 0 bytes', async () => {
    for (const parts of [[], [Buffer.alloc(0)]]) {
      const digest = await putBundle(fixture.store, { blueprint: 'empty', parts })
      expect((await fixture.get(`/bundle/${digest}/initramfs`)).status).toBe(500)
    }
  })
})

test('a slow reader holds no more than its slice, and the others are served meanwhile', async () => {
  const parts = [pattern(24 * 1024 * 1024, 5)]
  const digest = await putBundle(fixture.store, { blueprint: 'large', parts })
  const large = `${fixture.server.url}/bundle/${digest}/initramfs`
  await fetch(large).then(bytesOf)
  const before = process.memoryUsage().arrayBuffers
  const slow = await Promise.all(
    Array.from(
      { length: 16 },
      () =>
        new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
          request(large, (answer) => resolve(answer.pause()))
            .on('error', reject)
            .end()
        }),
    ),
  )
  await sleep(300)
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(40 * 1024 * 1024)
  expect((await fetch(large).then(bytesOf)).equals(parts[0]!)).toBe(true)
  for (const answer of slow) answer.on('error', () => {}).destroy()
})

test('boot programs come by name, and nothing else does', async () => {
  fixture.boots.discover(mac, 'firmware')
  fixture.boots.record(mac, { stage: 'ack', by: 'firmware', address: '127.0.0.1' })
  expect(await (await fixture.get('/program/snponly.efi')).text()).toBe('MZ a boot program')
  await fixture.boots.flush()
  const [boot] = await bootsOf(fixture.state.redis, mac)
  expect(boot?.stages.at(-1)).toMatchObject({ stage: 'program', file: 'snponly.efi', bytes: 17 })
  expect((await fixture.get('/program/..%2f..%2fetc%2fpasswd')).status).toBe(404)
})

test.each([
  ['bytes=0-0', { start: 0, end: 0 }],
  ['bytes=5-', { start: 5, end: 9 }],
  ['bytes=-3', { start: 7, end: 9 }],
  ['bytes=-30', { start: 0, end: 9 }],
  ['bytes=2-99', { start: 2, end: 9 }],
  ['bytes=10-', 'unsatisfiable'],
  ['bytes=-0', 'unsatisfiable'],
  ['bytes=3-2', undefined],
  ['bytes=0-1,3-4', undefined],
  ['bytes=-', undefined],
  ['lines=0-1', undefined],
  [undefined, undefined],
])('the range %j of ten bytes is %j', (header, expected) => {
  expect(parseRange(header, 10)).toEqual(expected)
})
