import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { rate } from '../../src/config/units.ts'
import { Delivery, type Transfer } from '../../src/http/delivery.ts'

/** A reader that takes at once whatever it is given, until told to stop. Counts bytes. */
function reading(transfer: Transfer): { bytes: number; stop(): void } {
  const reader = { bytes: 0, stop: () => transfer.close() }
  const go = async () => {
    try {
      for (;;) {
        const turn = transfer.ask(transfer.slice)
        if (turn) await turn
        reader.bytes += transfer.slice
        await sleep(0)
        transfer.taken()
      }
    } catch {
      // Stopped.
    }
  }
  void go()
  return reader
}

async function during(milliseconds: number, transfers: readonly Transfer[]): Promise<number[]> {
  const readers = transfers.map(reading)
  await sleep(milliseconds)
  const taken = readers.map(({ bytes }) => bytes)
  for (const reader of readers) reader.stop()
  return taken
}

describe('bandwidth', () => {
  test('a cap on the total holds, and nodes share it evenly whatever number of connections each has', async () => {
    const delivery = new Delivery({ total: 20_000_000 })
    const [a, ...of] = [delivery.open('a'), ...Array.from({ length: 9 }, () => delivery.open('b'))]
    const [ofA, ...ofB] = await during(1000, [a!, ...of])
    const sumOfB = ofB.reduce((sum, bytes) => sum + bytes, 0)
    expect(ofA! + sumOfB).toBeGreaterThan(17_000_000)
    expect(ofA! + sumOfB).toBeLessThan(24_000_000)
    expect(ofA! / sumOfB).toBeGreaterThan(0.8)
    expect(ofA! / sumOfB).toBeLessThan(1.25)
  })

  test('a cap for each node holds for all of its connections together', async () => {
    const delivery = new Delivery({ perNode: 5_000_000 })
    const [one, two, other] = await during(1000, [delivery.open('a'), delivery.open('a'), delivery.open('b')])
    expect(one! + two!).toBeGreaterThan(4_000_000)
    expect(one! + two!).toBeLessThan(6_500_000)
    expect(other).toBeLessThan(6_500_000)
  })

  test('without a cap a node of ten connections has one slice on the way while another node reads', () => {
    const delivery = new Delivery()
    const b = Array.from({ length: 10 }, () => delivery.open('b'))
    delivery.open('a')
    const turns = b.map((transfer) => transfer.ask(1024))
    for (const turn of turns) turn?.catch(() => {})
    expect(turns.filter((turn) => turn === undefined).length).toBe(1)
    for (const transfer of b) transfer.close()
  })

  test('alone on the line, a node waits for nothing', () => {
    const delivery = new Delivery()
    const turns = Array.from({ length: 10 }, () => delivery.open('b').ask(1024))
    expect(turns.every((turn) => turn === undefined)).toBe(true)
  })

  test('a reader that leaves its slice lying holds up its own node for a second at most', async () => {
    const delivery = new Delivery()
    const [stuck, next] = [delivery.open('b'), delivery.open('b')]
    delivery.open('a')
    expect(stuck.ask(1024)).toBeUndefined()
    const began = Date.now()
    await next.ask(1024)
    expect(Date.now() - began).toBeGreaterThan(800)
    expect(Date.now() - began).toBeLessThan(2500)
  })

  test('whoever goes away while it waits is refused, and leaves nothing behind', async () => {
    const delivery = new Delivery({ total: 1024 })
    const [first, second] = [delivery.open('a'), delivery.open('b')]
    first.ask(100_000)
    const turn = second.ask(1024)
    second.close()
    await expect(turn).rejects.toThrow('closed')
    first.close()
    await expect(first.ask(1024)).rejects.toThrow('closed')
    expect(delivery.nodes).toBe(0)
  })
})

test('a transfer closed twice leaves those alone that its node began meanwhile', () => {
  const delivery = new Delivery()
  const before = delivery.open('b')
  before.close()
  const now = [delivery.open('b'), delivery.open('b')]
  before.close()
  expect(delivery.nodes).toBe(1)
  expect(now.map((transfer) => transfer.ask(1024))).toEqual([undefined, undefined])
})

test.each([
  [100_000, 100_000],
  ['100 MB/s', 100_000_000],
  ['1.5 GB/s', 1_500_000_000],
  ['64kB/s', 64_000],
  ['100 Mb/s', undefined],
  ['fast', undefined],
  [12, undefined],
])('the rate %j is %j bytes a second', (text, expected) => {
  expect(rate.safeParse(text).data).toBe(expected)
})
