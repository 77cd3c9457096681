import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { withLock } from '../../src/repository/lock.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootloom-lock-'))
})
afterEach(() => rm(directory, { recursive: true }))

test('two that want one lock work after each other, also when the first fails', async () => {
  const order: string[] = []
  const first = withLock(directory, 'one', async () => {
    order.push('first in')
    await sleep(150)
    order.push('first out')
    throw new Error('failed')
  })
  await sleep(50)
  const told = () => void order.push('second waits')
  const second = withLock(directory, 'one', async () => void order.push('second in'), undefined, told)
  await expect(first).rejects.toThrow('failed')
  await second
  expect(order).toEqual(['first in', 'second waits', 'first out', 'second in'])
})

test('a lock of a process killed with SIGKILL is free at once', async () => {
  const module = join(import.meta.dirname, '../../src/repository/lock.ts')
  const program = `import { withLock } from ${JSON.stringify(module)}
    await withLock(${JSON.stringify(directory)}, 'one', () => { console.log('held'); return new Promise(() => setInterval(() => {}, 1000)) })`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  let got = false
  const waiting = withLock(directory, 'one', async () => {
    got = true
  })
  await sleep(100)
  expect(got).toBe(false)
  child.kill('SIGKILL')
  await waiting
  expect(got).toBe(true)
})

test('who waits for a lock can give up', async () => {
  const ended = new AbortController()
  await withLock(directory, 'one', async () => {
    const waiting = withLock(directory, 'one', async () => {}, ended.signal)
    setTimeout(() => ended.abort(), 50)
    await expect(waiting).rejects.toThrow()
  })
})
