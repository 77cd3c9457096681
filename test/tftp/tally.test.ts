import { Writable } from 'node:stream'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { TftpTally } from '../../src/tftp/tally.ts'

test('a flood is told when it begins, and counted until the tally is told', () => {
  const lines: Record<string, unknown>[] = []
  const stream = new Writable({
    write(line, _encoding, done) {
      lines.push(JSON.parse(String(line)))
      done()
    },
  })
  const tally = new TftpTally(pino({}, stream))
  for (let i = 0; i < 5000; i++) {
    tally.trouble('withheld', { client: `10.0.0.${i & 255}` })
    tally.trouble('evicted', { client: '10.0.0.1' })
    tally.count('request')
  }
  expect(lines).toMatchObject([
    { level: 40, event: 'tftp-withheld', client: '10.0.0.0', count: 1 },
    { level: 40, event: 'tftp-evicted', client: '10.0.0.1', count: 1 },
  ])
  tally.close()
  expect(lines.slice(2)).toMatchObject([{ event: 'tftp-minute', withheld: 5000, evicted: 5000, request: 5000 }])
})
