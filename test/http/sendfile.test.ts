import { spawn } from 'node:child_process'
import { once } from 'node:events'
import pino from 'pino'
import { afterEach, expect, test } from 'vitest'
import { type Fixture, pattern, putBundle, startFixture } from './fixture.ts'

let fixture: Fixture
afterEach(() => fixture.close())

/** Reads as fast as it can over many connections, again and again, until it is killed; says when it has begun. */
const readers = `
  for (let i = 0; i < 64; i++) (async () => { for (;;) await (await fetch(process.argv[1])).arrayBuffer() })()
  setTimeout(() => console.log('reading'), 300)`

test('readers that go away in the middle take nobody else with them', { timeout: 20_000 }, async () => {
  const lines: Record<string, unknown>[] = []
  const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(JSON.parse(line)) })
  fixture = await startFixture({ log })
  const part = pattern(24 * 1024 * 1024, 5)
  const url = `${fixture.server.url}/bundle/${await putBundle(fixture.store, { parts: [part] })}/initramfs`
  for (let times = 0; times < 3; times++) {
    const child = spawn(process.execPath, ['--eval', readers, url], { stdio: ['ignore', 'pipe', 'ignore'] })
    await once(child.stdout, 'data')
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(Buffer.from(await (await fetch(url)).arrayBuffer()).equals(part)).toBe(true)
  }
  expect(lines.filter(({ event }) => event === 'sendfile-ended')).toEqual([])
})
