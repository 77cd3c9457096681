import pino from 'pino'
import { expect, test } from 'vitest'
import { DhcpTally } from '../../src/dhcp/tally.ts'

test('an empty pool is told once, with what tells starvation from a pool that is too small, and counted each time', async () => {
  const lines: Record<string, unknown>[] = []
  const tally = new DhcpTally(pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) }))
  for (let i = 0; i < 200; i++) tally.decided('offer')
  tally.decided('ack')
  for (let i = 0; i < 4000; i++) tally.exhausted(`02:00:00:00:${i >> 8}:${i & 255}`, 'no free address in 10.77.0.0/16')
  await expect.poll(() => lines.length, { timeout: 25_000 }).toBe(1)
  tally.exhausted('02:00:00:00:00:00', undefined)
  tally.close()
  expect(lines).toEqual([
    expect.objectContaining({ event: 'dhcp-exhausted', level: 40, count: 4000, offers: 200, acks: 1 }),
    expect.objectContaining({ event: 'dhcp-minute', exhausted: 4001, offer: 200, ack: 1 }),
  ])
})
