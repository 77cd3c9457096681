import { expect, it } from 'vitest'
import { answerOf } from '../../src/blueprint/answer.ts'
import type { ObservationRecord } from '../../src/blueprint/observe/observe.ts'
import { compareRuns, type Ran } from '../../src/blueprint/replay/compare.ts'

const step = (text: string, content: string) => ({
  ...{ step: text, detail: 'HTTP 200', seconds: 0 },
  answer: answerOf('200 text/html', content),
})
const watched = (more: Partial<ObservationRecord> = {}) =>
  ({
    probe: { detail: 'HTTP 200', answer: answerOf('200 text/html', 'home') },
    workload: [step('GET /a', 'page a'), { step: 'reload', detail: 'connected', seconds: 0 }],
    stopped: 'by signal',
    exits: { 'web.0': 0, 'web.1': 143 },
    ...more,
  }) as ObservationRecord

it('finds no difference between two runs that went the same way', () => {
  expect(compareRuns(watched(), watched())).toEqual([])
})

it('tells a step, an exit status and a stop that went another way, as suspected until the full stack ran again', () => {
  const ran: Ran = watched({
    workload: [step('GET /a', 'page b')],
    stopped: 'killed',
    exits: { 'web.0': 1, 'web.1': 143, 'web.2': 9 },
  })
  const found = compareRuns(watched(), ran)
  expect(found.map((one) => one.step)).toEqual(['GET /a', 'web.0', 'stop'])
  expect(found.every(({ suspected }) => suspected)).toBe(true)
  expect(found[1]!.detail).toBe('ended with exit status 1, not 0')
  expect(compareRuns(watched(), ran, watched()).map((one) => one.suspected)).toEqual([undefined, undefined, undefined])
})

it('drops what the full stack does in two ways itself', () => {
  const ran: Ran = watched({ stopped: 'killed', exits: { 'web.0': 1 }, workload: [step('GET /a', 'page b')] })
  const again = watched({ stopped: 'killed', exits: { 'web.0': 7 }, workload: [step('GET /a', 'page c')] })
  expect(compareRuns(watched(), ran, again)).toEqual([])
})

it('tells why a run did not come to its end, and nothing else', () => {
  expect(compareRuns(watched(), { failed: 'GET /: HTTP 500' })).toEqual([{ step: 'run', detail: 'GET /: HTTP 500' }])
})
