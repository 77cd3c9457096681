import { expect, test } from 'vitest'
import { until } from '../../lab/wait.ts'

test('what is there is returned as soon as it is', async () => {
  let looks = 0
  const look = async () => (++looks < 3 ? { seen: `look ${looks}` } : { found: looks })
  expect(await until('the third look', look, { timeout: 5000, every: 1 })).toBe(3)
})

test('what never comes ends in time, with what was seen last', async () => {
  const began = Date.now()
  const waiting = until('a ready node', async () => ({ seen: 'overlay' }), { timeout: 200, every: 10 })
  await expect(waiting).rejects.toMatchObject({ code: 'LAB_TIMEOUT', details: ['seen last, 0 s ago: overlay'] })
  expect(Date.now() - began).toBeLessThan(2000)
})

test('a look that hangs does not make the wait endless, and one that fails ends it', async () => {
  const hang = () => new Promise<never>(() => {})
  await expect(until('an answer', hang, { timeout: 100 })).rejects.toMatchObject({ code: 'LAB_TIMEOUT' })
  const fail = () => Promise.reject(new Error('it broke'))
  await expect(until('an answer', fail, { timeout: 1000 })).rejects.toThrow('it broke')
})

test('nothing new for too long ends it, something new does not', async () => {
  let stages = 0
  const moving = async () => (++stages < 30 ? { seen: `stage ${stages}` } : { found: stages })
  expect(await until('the last stage', moving, { timeout: 20_000, silence: 400, every: 20 })).toBe(30)
  const began = Date.now()
  const still = until('the last stage', async () => ({ seen: 'kernel' }), { timeout: 20_000, silence: 200, every: 20 })
  await expect(still).rejects.toMatchObject({ code: 'LAB_TIMEOUT' })
  expect(Date.now() - began).toBeLessThan(5000)
})
