import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fetchInside } from '../../lab/fetch.ts'
import { openForward } from '../../lab/forward.ts'
import type { Place } from '../../lab/place.ts'
import { recorded, remember, startDaemon } from '../../lab/processes.ts'
import { run } from '../../src/config/command.ts'
import { createNamespace, inside, namespaceExists, removeNamespace } from '../../src/machine/namespace.ts'
import { end, isRunning } from '../../src/machine/process.ts'

const asRoot = process.getuid?.() === 0

const pageServer = `require('node:http').createServer((q, a) => a.end('page ' + q.url)).listen(8088, '10.77.0.1')`

describe.skipIf(!asRoot)('the network namespace of a lab', () => {
  let place: Place

  beforeEach(async () => {
    const directory = mkdtempSync(join(tmpdir(), 'lab-'))
    place = { name: `lab-test-${process.pid}`, directory }
    await createNamespace(place.name)
  })
  afterEach(async () => {
    await removeNamespace(place.name)
    rmSync(place.directory, { recursive: true })
  })

  const startPage = () =>
    startDaemon(place, { what: 'page', command: inside(place.name, [process.execPath, '-e', pageServer]) })

  it('has a bridge without delay at the server address', async () => {
    const links = JSON.parse(await run('ip', ['-n', place.name, '-json', '-details', 'address', 'show', 'br0']))
    expect(links[0].linkinfo.info_data).toMatchObject({ forward_delay: 0, stp_state: 0 })
    expect(links[0].addr_info[0]).toMatchObject({ local: '10.77.0.1', prefixlen: 16 })
  })

  it('leaves nothing when it is removed, whatever still ran inside', async () => {
    const page = startPage()
    await removeNamespace(place.name)
    expect(await namespaceExists(place.name)).toBe(false)
    expect(isRunning(page)).toBe(false)
  })

  it('is reached by a fetch from inside and by a forwarded port from outside', async () => {
    startPage()
    expect(await fetchInside(place.name, 'http://10.77.0.1:8088/in')).toEqual({ status: 200, body: 'page /in' })
    const forward = await openForward(place.name, { port: 0, to: { address: '10.77.0.1', port: 8088 } })
    try {
      const url = `http://127.0.0.1:${forward.port}`
      const pages = await Promise.all(['/a', '/b', '/c'].map(async (path) => (await fetch(url + path)).text()))
      expect(pages).toEqual(['page /a', 'page /b', 'page /c'])
    } finally {
      await forward.close()
    }
  })

  it('reports a page that does not answer, with the reason', async () => {
    const failure = fetchInside(place.name, 'http://10.77.0.1:8099/', { patience: 300 })
    await expect(failure).rejects.toMatchObject({
      code: 'LAB_TIMEOUT',
      details: [expect.stringMatching(/ECONNREFUSED/)],
    })
  })
})

describe('the record of processes', () => {
  it('never ends a process that only has the same id', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'lab-'))
    const place = { name: 'lab-test', directory }
    const child = spawn('sleep', ['60'])
    try {
      const real = remember(place, 'sleeper', child.pid!)
      expect(recorded(place)).toEqual([real])
      const earlier = { ...real, startedAt: String(Number(real.startedAt) - 1) }
      expect(isRunning(earlier)).toBe(false)
      await end(earlier)
      expect(isRunning(real)).toBe(true)
      await end(real)
      expect(isRunning(real)).toBe(false)
    } finally {
      child.kill('SIGKILL')
      rmSync(directory, { recursive: true })
    }
    expect(existsSync(directory)).toBe(false)
  })
})
