import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bootloom, environment, launcher } from './launcher.ts'

const mac = '52:54:00:aa:00:01'
let state: string

beforeAll(() => {
  state = realpathSync(mkdtempSync(join(tmpdir(), 'bl-api-')))
})
afterAll(() => rmSync(state, { recursive: true, force: true }))

const run = (...words: string[]) => bootloom([...words, '--state', state])

test('without a server, a command does its work itself and leaves nothing running', async () => {
  expect(await run('node', 'set', mac.toUpperCase(), '--hostname', 'web1', '--group', 'web', 'db')).toMatchObject({
    exitCode: 0,
    stderr: '',
  })
  const { stdout } = await run('node', 'list', '--json')
  expect(JSON.parse(stdout)).toMatchObject([{ mac, hostname: 'web1', groups: ['web', 'db'] }])
  expect(existsSync(join(state, 'api.sock'))).toBe(false)
  expect(existsSync(join(state, 'redis', 'redis.sock'))).toBe(false)
})

test('an error of the API is the error of the command', async () => {
  const { stdout, exitCode } = await run('node', 'show', '52:54:00:00:00:99', '--json')
  expect(exitCode).toBe(1)
  expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'NODE_UNKNOWN', where: '52:54:00:00:00:99' } })
})

test('a blueprint that is neither applied nor ready-made is unknown', async () => {
  const { stderr, exitCode } = await run('compose', 'apachee')
  expect(exitCode).toBe(1)
  expect(stderr).toMatch(/^error BLUEPRINT_UNKNOWN: /)
})

test('with a server, commands speak to it, events are followed, and SIGTERM ends it cleanly', async () => {
  const server = spawn(launcher, ['serve', '--role', 'control', '--state', state], {
    env: environment,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  server.stderr.on('data', (data) => {
    log += data
  })
  try {
    await until(() => existsSync(join(state, 'api.sock')))
    const follower = spawn(launcher, ['events', '--follow', '--json', '--state', state], {
      env: environment,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    let events = ''
    follower.stdout.on('data', (data) => {
      events += data
    })
    // It follows from the moment that it is connected; ask until one of ours is in.
    await until(async () => {
      await run('node', 'set', mac, '--hostname', 'web2')
      return events.includes('"hostname":"web2"')
    })
    follower.kill('SIGINT')
    const [status] = await once(follower, 'exit')
    expect(status).toBe(0)
  } finally {
    server.kill('SIGTERM')
  }
  const [status] = await once(server, 'exit')
  expect([status, log.includes('"level":50')]).toEqual([0, false])
  expect(existsSync(join(state, 'api.sock'))).toBe(false)
})

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const began = Date.now(); Date.now() - began < 15_000; await sleep(50)) if (await holds()) return
  throw new Error('it did not come true within 15 s')
}
