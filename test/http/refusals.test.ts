import pino from 'pino'
import { afterEach, expect, test, vi } from 'vitest'
import { Refusals } from '../../src/http/refusals.ts'

afterEach(() => vi.useRealTimers())

test('a kind is told at once, then once a minute with how many there were and from how many addresses', () => {
  vi.useFakeTimers()
  const lines: Record<string, unknown>[] = []
  const log = pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) })
  const refusals = new Refusals(log)
  for (let i = 0; i < 64; i++) refusals.add('REQUEST_LATE', `10.0.0.${i}`)
  refusals.add('READER_CUT', '10.0.0.1')
  expect(lines).toMatchObject([
    { event: 'request-refused', kind: 'REQUEST_LATE', from: '10.0.0.0', count: 1 },
    { kind: 'READER_CUT', from: '10.0.0.1', count: 1 },
  ])
  vi.advanceTimersByTime(61_000)
  refusals.add('REQUEST_LATE', '10.0.0.7')
  expect(lines).toHaveLength(3)
  expect(lines[2]).toMatchObject({ kind: 'REQUEST_LATE', count: 65, again: 63, addresses: 63 })
  expect(refusals.counts).toEqual(
    new Map([
      ['REQUEST_LATE', 65],
      ['READER_CUT', 1],
    ]),
  )
})
