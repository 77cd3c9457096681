import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { down, status } from '../../lab/lab.ts'
import { startNode } from '../../lab/node.ts'
import { type Place, placeOf } from '../../lab/place.ts'
import { recorded, remember, startDaemon } from '../../lab/processes.ts'
import { createNamespace, inside, namespaceExists } from '../../src/machine/namespace.ts'
import { isRunning } from '../../src/machine/process.ts'

describe.skipIf(process.getuid?.() !== 0)('taking a lab down', () => {
  let place: Place

  beforeEach(() => {
    place = { name: `lab-down-test-${process.pid}`, directory: mkdtempSync(join(tmpdir(), 'lab-')) }
  })
  afterEach(() => rmSync(place.directory, { recursive: true }))

  it('removes what a crashed run left: nodes, servers, their children, the namespace', async () => {
    await createNamespace(place.name)
    const node = await startNode(place, { index: 1, memory: 64 })
    const forgotten = startDaemon(place, { what: 'boot', command: inside(place.name, ['sleep', '300']) })
    rmSync(join(place.directory, 'run', 'boot.json'))
    // A server that is killed leaves a child in a session of its own.
    const child = join(place.directory, 'child.pid')
    const script = `setsid sh -c 'echo $$ >${child}; exec sleep 300' & sleep 300`
    const server = startDaemon(place, { what: 'control', command: ['sh', '-c', script] })
    for (let waited = 0; waited < 3000 && !existsSync(child); waited += 20) await sleep(20)
    process.kill(server.pid, 'SIGKILL')

    await down(place)
    expect([node.running, isRunning(forgotten)]).toEqual([false, false])
    expect(commandOf(Number(readFileSync(child, 'utf8')))).toBe('')
    expect(await namespaceExists(place.name)).toBe(false)
    expect(recorded(place)).toEqual([])
    expect(await status(place)).toMatchObject({ up: false, namespace: false, processes: [] })
  })

  it('does nothing when there is nothing', async () => {
    await down(place)
    await down(place)
  })

  it('refuses while another run holds the lab', async () => {
    remember(place, 'holder', process.ppid)
    await expect(down(place)).rejects.toMatchObject({ code: 'LAB_IN_USE' })
  })
})

/** Empty for a process that has ended, whether or not its parent has collected it. */
function commandOf(pid: number): string {
  const file = `/proc/${pid}/cmdline`
  return existsSync(file) ? readFileSync(file, 'utf8') : ''
}

describe('the place of a lab', () => {
  it('is of the machine, by its name', () => {
    expect(placeOf()).toEqual({ name: 'bootloom-lab', directory: '/var/lib/bootloom-lab' })
    expect(placeOf({ name: 'other' }).directory).toBe('/var/lib/other')
  })

  it.each([
    ['a name that is a path', { name: '../x' }],
    ['a relative directory', { directory: 'x' }],
    ['a directory too long for a Unix socket below it', { directory: `/${'x'.repeat(90)}` }],
  ])('refuses %s', (_what, options) => {
    expect(() => placeOf(options)).toThrow(expect.objectContaining({ code: 'USAGE' }))
  })
})
