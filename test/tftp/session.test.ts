import { expect, test } from 'vitest'
import { Content } from '../../src/tftp/content.ts'
import type { Terms } from '../../src/tftp/negotiate.ts'
import { encodeTftp } from '../../src/tftp/packet.ts'
import { Session, type SessionEnd } from '../../src/tftp/session.ts'

/** A session on a wire that keeps what is sent, and a clock that goes as the test says. */
function run(size: number, terms: Partial<Terms> = {}, segment?: number) {
  const sent: Buffer[] = []
  let end: SessionEnd | undefined
  let now = 0
  let expected = 0
  const wire = {
    segment,
    send(bytes: Buffer) {
      const step = segment ?? bytes.length
      for (let at = 0; at < bytes.length; at += step) sent.push(Buffer.from(bytes.subarray(at, at + step)))
    },
    expect() {
      expected++
    },
  }
  const agreed = { blockSize: 512, window: 1, accepted: new Map<string, string>(), ...terms }
  const content = new Content([Buffer.alloc(size, 7)])
  const session = new Session(wire, content, agreed, now, (how) => {
    end = how
  })
  return {
    session,
    ack: (block: number) => session.receive(encodeTftp({ op: 'ack', block: block & 0xffff }), now),
    /** Lets time go by. */
    pass(milliseconds: number) {
      for (const until = now + milliseconds; now < until && !end; ) {
        now += 25
        session.tick(now)
      }
    },
    taken: () => sent.splice(0).map((bytes) => bytes.readUInt16BE(2)),
    bytes: () => sent.splice(0),
    end: () => end,
    expected: () => expected,
  }
}

const optioned = { accepted: new Map([['tsize', '1']]) }

test.each([
  ['without options', {}, 1],
  ['with options', optioned, 2],
])('who asks %s and never answers is sent the answer seconds apart, a few times only', (_, terms, repeats) => {
  const one = run(100_000, terms)
  expect(one.bytes()).toHaveLength(1)
  one.pass(60_000)
  expect(one.bytes()).toHaveLength(repeats)
  expect(one.end()).toMatchObject({ result: 'lost', bytes: 0 })
})

test('only a client that has answered is told that its transfer ends', () => {
  const [silent, answering] = [run(100_000), run(100_000)]
  answering.ack(1)
  for (const { session, bytes } of [silent, answering]) {
    bytes()
    session.stop('the server ends')
  }
  expect(silent.bytes()).toEqual([])
  expect(answering.bytes().map((bytes) => bytes[1])).toEqual([5])
})

test('the next acknowledgement is waited for without sleeping only where the last one came at once', () => {
  const one = run(5000)
  one.ack(1)
  one.ack(2)
  expect(one.expected()).toBe(2)
  one.pass(50)
  one.ack(3)
  expect(one.expected()).toBe(2)
})

test('a client that has all but whose last acknowledgement was lost is one that got the file', () => {
  const one = run(1000)
  one.ack(1)
  one.pass(30_000)
  expect(one.taken()).toEqual([1, 2, 2, 2, 2])
  expect(one.end()).toMatchObject({ result: 'sent', bytes: 1000 })
})

test('a client that falls silent in the middle is given up within a minute, and got what it acknowledged', () => {
  const one = run(5000)
  one.ack(1)
  one.pass(60_000)
  expect(one.end()).toMatchObject({ result: 'lost', bytes: 512 })
})

test('block numbers roll over to 0, in windows too', () => {
  for (const window of [1, 7]) {
    const one = run(8 * 70_000, { blockSize: 8, window, accepted: new Map([['blksize', '8']]) })
    one.ack(0)
    let expected = 0
    while (!one.end()) {
      const numbers = one.taken().filter((number, i) => i > 0 || expected > 0 || number === 1)
      for (const number of numbers) expect(number).toBe(++expected & 0xffff)
      if (numbers.length === 0) break
      one.ack(expected)
    }
    expect(one.end()).toMatchObject({ result: 'sent' })
    expect(expected).toBe(70_001)
  }
})

test('what the kernel cuts apart is what would be sent one by one', () => {
  const terms = { blockSize: 100, window: 8, ...optioned }
  const [whole, apart] = [run(1950, terms, 104), run(1950, terms)]
  for (const block of [0, 8, 16, 20]) {
    whole.ack(block)
    apart.ack(block)
    const blocks = whole.bytes()
    expect(blocks.filter((bytes) => bytes[1] === 3)).toEqual(apart.bytes().filter((bytes) => bytes[1] === 3))
  }
  expect(whole.end()).toEqual({ result: 'sent', bytes: 1950 })
})
