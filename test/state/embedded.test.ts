import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { silent } from '../../src/config/log.ts'
import { openState } from '../../src/state/redis.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'state-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

test('the embedded Redis comes back by itself after a kill -9, with what it took', async () => {
  const first = await openState({ directory }, silent)
  await first.redis.set('x', 'kept')
  const pid = Number(/process_id:(\d+)/.exec(await first.redis.info('server'))![1])
  process.kill(pid, 'SIGKILL')

  await expect.poll(() => first.redis.get('x').catch((error: Error) => error.message), { timeout: 25_000 }).toBe('kept')
  await first.close()
})

test('a second process joins the Redis that runs, and leaves it running', async () => {
  const first = await openState({ directory }, silent)
  const second = await openState({ directory }, silent)
  await second.redis.set('y', 'shared')
  await second.close()
  expect(await first.redis.get('y')).toBe('shared')
  await first.close()
})

test('a Redis that does not answer is an error that names it without its password', async () => {
  const opening = openState({ directory, url: 'redis://user:hunter2@127.0.0.1:1' }, silent)
  await expect(opening).rejects.toMatchObject({ code: 'REDIS_UNREACHABLE', where: 'redis://127.0.0.1:1' })
})

test('a state directory whose path is too long for a socket says so', async () => {
  const opening = openState({ directory: join(directory, 'x'.repeat(110)) }, silent)
  await expect(opening).rejects.toMatchObject({ code: 'REDIS_UNREACHABLE', where: expect.stringContaining('xxx') })
})

test('processes that open the state at once share one Redis', async () => {
  const states = await Promise.all(Array.from({ length: 4 }, () => openState({ directory }, silent)))
  const servers = await Promise.all(
    states.map(async ({ redis }) => /process_id:(\d+)/.exec(await redis.info('server'))![1]),
  )
  expect(new Set(servers).size).toBe(1)
  await Promise.all(states.map((state) => state.close()))
})
