import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Workshop } from '../../src/change/workshop.ts'
import { silent } from '../../src/config/log.ts'
import { isAlive } from '../../src/config/process.ts'
import { settingsSchema } from '../../src/config/settings.ts'
import { openState, type State } from '../../src/state/redis.ts'

let directory: string
let state: State
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'workshop-'))
  state = await openState({ directory }, silent)
})
afterEach(async () => {
  await state.close()
  await rm(directory, { recursive: true, force: true })
})

test('a workshop without work ends, and the next job has another', { timeout: 30_000 }, async () => {
  const workshop = new Workshop(settingsSchema.parse({ state: directory }), silent, 300)
  try {
    const work = () => workshop.run({ kind: 'update', blueprint: 'unheard-of' })
    const first = work()
    const pid = workshop.pid!
    await expect(first).rejects.toMatchObject({ code: 'BLUEPRINT_UNKNOWN' })
    expect(isAlive(pid)).toBe(true)
    await expect.poll(() => isAlive(pid), { timeout: 25_000 }).toBe(false)
    expect(workshop.pid).toBeUndefined()
    const second = work()
    expect(workshop.pid).not.toBe(pid)
    await expect(second).rejects.toMatchObject({ code: 'BLUEPRINT_UNKNOWN' })
  } finally {
    await workshop.close()
  }
})
