import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import { silent } from '../../src/config/log.ts'
import { Carrier, patience, type Session } from '../../src/tftp/carrier.ts'
import type { SessionEnd } from '../../src/tftp/frames.ts'
import type { Terms } from '../../src/tftp/negotiate.ts'
import type { TftpPacket } from '../../src/tftp/packet.ts'
import { RawClient } from './raw-client.ts'

const open: (Carrier | RawClient)[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

async function carrier(limits: Partial<typeof patience> = {}, sockets = 1): Promise<Carrier> {
  const options = { address: '127.0.0.1', port: 0, sockets, log: silent, onRequest() {} }
  const one = await Carrier.open(options, { ...patience, ...limits })
  open.push(one)
  return one
}

const optioned = { accepted: new Map([['tsize', '1']]) }

/** A transfer to a client that does only what it is told. */
async function run(by: Carrier, parts: readonly Buffer[], terms: Partial<Terms> = {}) {
  const client = await RawClient.open(by.port)
  open.push(client)
  const { promise: ended, resolve } = Promise.withResolvers<SessionEnd>()
  const peer = { address: '127.0.0.1', port: client.port }
  const agreed = { blockSize: 512, window: 1, accepted: new Map<string, string>(), ...terms }
  const session: Session = by.begin(peer, parts, agreed, resolve)
  return { client, session, ended }
}

const blocks = (packets: readonly TftpPacket[]) =>
  packets.map((packet) => (packet.op === 'data' ? packet.block : packet.op))

test.each([
  ['without options', {}, [1, 1]],
  ['with options', optioned, ['options', 'options', 'options']],
])('who asks %s and never answers is sent the answer a few times only', async (_, terms, expected) => {
  const one = await run(await carrier({ longest: 100 }), [Buffer.alloc(10_000)], terms)
  expect(await one.ended).toMatchObject({ result: 'lost', bytes: 0 })
  expect(blocks(await one.client.within(50))).toEqual(expected)
  expect(one.session.verified).toBe(false)
})

test('only a client that has answered is told that its transfer ends', async () => {
  const by = await carrier()
  const [unheard, answering] = [await run(by, [Buffer.alloc(10_000)]), await run(by, [Buffer.alloc(10_000)])]
  await answering.client.next()
  answering.client.ack(1)
  await answering.client.next()
  for (const { session } of [unheard, answering]) session.stop('the server ends')
  expect(await answering.ended).toEqual({ result: 'lost', bytes: 512, reason: 'the server ends' })
  expect(await answering.client.next()).toMatchObject([{ op: 'error', message: 'the server ends' }])
  expect(await unheard.ended).toMatchObject({ result: 'lost', bytes: 0 })
  expect(blocks(await unheard.client.within(50))).toEqual([1])
})

test('a client that has all but whose last acknowledgement was lost is one that got the file', async () => {
  const one = await run(await carrier({ longest: 100 }), [Buffer.alloc(1000)])
  await one.client.next()
  one.client.ack(1)
  expect(await one.ended).toMatchObject({ result: 'sent', bytes: 1000 })
  expect(blocks(await one.client.within(50))).toEqual([2, 2, 2, 2])
})

test('a client that falls silent in the middle is given up, and got what it acknowledged', async () => {
  const one = await run(await carrier({ longest: 100, silence: 700 }), [Buffer.alloc(5000)])
  await one.client.next()
  one.client.ack(1)
  expect(await one.ended).toMatchObject({ result: 'lost', bytes: 512 })
  expect(one.session.repeats).toBeGreaterThan(2)
})

test('a transfer that takes too long is ended, though its client answers', async () => {
  const one = await run(await carrier({ lifetime: 100 }), [Buffer.alloc(5000)])
  await one.client.within(150)
  one.client.ack(1)
  expect(await one.ended).toMatchObject({ result: 'lost', reason: 'the transfer takes too long' })
})

test('who answers at once is sent again what was lost after a fifth of a second, and then later and later', async () => {
  const one = await run(await carrier(), [Buffer.alloc(20_000)])
  for (let block = 1; block <= 20; block++) {
    await one.client.next()
    one.client.ack(block)
  }
  const came: number[] = []
  for (let times = 0; times < 4; times++) {
    expect(blocks(await one.client.next())).toEqual([21])
    came.push(performance.now())
  }
  const waits = came.slice(1).map((at, i) => at - came[i]!)
  for (const [i, least] of [180, 360, 720].entries()) {
    expect(waits[i]).toBeGreaterThan(least)
    expect(waits[i]).toBeLessThan(least * 2)
  }
  one.client.ack(21)
  await expect.poll(() => one.session.repeats).toBe(0)
})

test.each([1, 7, 64])('parts of any size come as one file, %i blocks at a time', async (window) => {
  const parts = [1, 0, 333, 1600, 40_000, 3, 0, 9000].map((size) => randomBytes(size))
  const whole = Buffer.concat(parts)
  const one = await run(await carrier(), parts, { blockSize: 100, window })
  const got: Buffer[] = []
  for (let block = 1; block <= whole.length / 100 + 1; block++) {
    const [packet] = await one.client.next()
    if (packet?.op !== 'data') throw new Error(`a ${packet?.op} came`)
    expect(packet.block).toBe(block)
    got.push(Buffer.from(packet.bytes))
    // One block comes before the client has proven that it is there.
    if (block === 1 || (block - 1) % window === 0 || packet.bytes.length < 100) one.client.ack(block)
  }
  expect(Buffer.concat(got).equals(whole)).toBe(true)
  expect(await one.ended).toEqual({ result: 'sent', bytes: whole.length })
})

test('a content that many are sent is handed over once, and is gone when nobody is sent it any more', async () => {
  const by = await carrier()
  const content = [randomBytes(1_000_000)]
  const many = await Promise.all(Array.from({ length: 20 }, () => run(by, content)))
  for (const { client } of many) expect(await client.next()).toMatchObject([{ op: 'data', block: 1 }])
  expect(residentSet(processOf())).toBeLessThan(12_000_000)
  for (const { session } of many) session.stop('enough')
  for (const { ended } of many) expect(await ended).toMatchObject({ result: 'lost' })
})

test('a process that dies takes its transfers along, and is started again on the same port', async () => {
  const by = await carrier()
  const { port } = by
  const before = await run(by, [Buffer.alloc(10_000)])
  await before.client.next()
  process.kill(processOf(), 'SIGKILL')
  expect(await before.ended).toMatchObject({ result: 'lost', bytes: 0 })
  const anew = async () => {
    const after = await run(by, [Buffer.alloc(10)])
    return blocks(await after.client.within(100))
  }
  await expect.poll(anew, { timeout: 25_000 }).toEqual([1])
  expect(by.port).toBe(port)
})

test('a port that another has taken is told as such', async () => {
  const { port } = await carrier()
  const options = { address: '127.0.0.1', port, sockets: 1, log: silent, onRequest() {} }
  await expect(Carrier.open(options)).rejects.toMatchObject({ code: 'SOCKET_UNAVAILABLE' })
})

const children = () =>
  readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8')
    .split(' ')
    .filter((pid) => pid !== '' && readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'carry')
    .map(Number)

function processOf(): number {
  const [pid, ...others] = children()
  if (pid === undefined || others.length > 0) throw new Error('which one?')
  return pid
}

const residentSet = (pid: number) =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
