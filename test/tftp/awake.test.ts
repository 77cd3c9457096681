import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Awake } from '../../src/tftp/awake.ts'

const turning = () => process.getActiveResourcesInfo().includes('Immediate')

test('the event loop turns for a moment, and then sleeps again', async () => {
  const awake = new Awake()
  awake.for(performance.now() + 20)
  await sleep(10)
  expect(turning()).toBe(true)
  await sleep(50)
  expect(turning()).toBe(false)
  awake.for(performance.now() + 20)
  expect(turning()).toBe(true)
  await sleep(50)
})
