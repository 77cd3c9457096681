import { expect, test } from 'vitest'
import { RetransmissionTimer } from '../../src/tftp/timing.ts'

test('it waits a second at first, then as long as round trips and their deviation say, within bounds', () => {
  const timer = new RetransmissionTimer()
  expect(timer.wait).toBe(1000)
  for (let i = 0; i < 50; i++) timer.measured(1)
  expect(timer.wait).toBe(200)
  for (let i = 0; i < 100; i++) timer.measured(600)
  expect(timer.wait).toBeGreaterThan(599)
  expect(timer.wait).toBeLessThan(700)
  timer.measured(60_000)
  expect(timer.wait).toBe(8000)
})

test('each silence doubles the wait up to eight seconds, and it stays so until a round trip is measured', () => {
  const timer = new RetransmissionTimer()
  const waits = Array.from({ length: 5 }, () => {
    timer.backOff()
    return timer.wait
  })
  expect(waits).toEqual([2000, 4000, 8000, 8000, 8000])
  timer.measured(300)
  expect(timer.wait).toBe(900)
})

test('it never waits longer than the client asked for', () => {
  const timer = new RetransmissionTimer(2000)
  expect(timer.wait).toBe(1000)
  timer.measured(5000)
  expect(timer.wait).toBe(2000)
  timer.backOff()
  expect(timer.wait).toBe(2000)
})
