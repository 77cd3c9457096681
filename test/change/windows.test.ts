import { expect, test } from 'vitest'
import { windows } from '../../src/blueprint/policy-schema.ts'
import { nextOpening } from '../../src/change/pipeline/windows.ts'

const next = (given: readonly unknown[], now: string): string =>
  new Date(nextOpening(windows.parse(given), Date.parse(now))).toISOString()

test.each([
  ['without windows, at once', [], '2026-11-21T12:34:56.000Z', '2026-11-21T12:34:56.000Z'],
  ['inside one, at once', [{ from: '12:00', to: '13:00' }], '2026-11-21T12:34:56.000Z', '2026-11-21T12:34:56.000Z'],
  [
    'before it, when it opens',
    [{ from: '12:00', to: '13:00' }],
    '2026-11-21T09:30:10.000Z',
    '2026-11-21T12:00:00.000Z',
  ],
  [
    'at its end, the next day',
    [{ from: '12:00', to: '13:00' }],
    '2026-11-21T13:00:00.000Z',
    '2026-11-22T12:00:00.000Z',
  ],
  [
    'past midnight, still in that of the day before',
    [{ days: ['sat'], from: '22:00', to: '04:00' }],
    '2026-11-22T03:59:00.000Z',
    '2026-11-22T03:59:00.000Z',
  ],
  [
    'on another day, a week on',
    [{ days: ['sat'], from: '22:00', to: '04:00' }],
    '2026-11-22T04:00:00.000Z',
    '2026-11-28T22:00:00.000Z',
  ],
  [
    'by the clocks of its zone, in summer time',
    [{ from: '02:00', to: '04:00', zone: 'Europe/Vienna' }],
    '2026-07-01T12:00:00.000Z',
    '2026-07-02T00:00:00.000Z',
  ],
  [
    'by the clocks of its zone, in winter time',
    [{ from: '02:00', to: '04:00', zone: 'Europe/Vienna' }],
    '2026-12-01T12:00:00.000Z',
    '2026-12-02T01:00:00.000Z',
  ],
  [
    'in the first of several that opens',
    [
      { days: ['mon'], from: '01:00', to: '02:00' },
      { days: ['sun'], from: '23:00', to: '23:30' },
    ],
    '2026-11-21T12:00:00.000Z',
    '2026-11-22T23:00:00.000Z',
  ],
])('a channel may move %s', (_what, given, now, expected) => {
  expect(next(given, now)).toBe(expected)
})
