import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runningNode, startNode } from '../../lab/node.ts'
import type { Place } from '../../lab/place.ts'
import { recorded, startDaemon } from '../../lab/processes.ts'
import { createNamespace, inside, removeNamespace } from '../../src/machine/namespace.ts'
import { isRunning } from '../../src/machine/process.ts'
import { SerialLog } from '../../src/machine/serial.ts'

/** Prints who asks by DHCP: MAC, and whether the user class (option 77) says iPXE. */
const listener = `require('node:dgram').createSocket('udp4').on('message', (m) =>
  console.log('dhcp from', m.toString('hex', 28, 34), 'class', /iPXE|PlainPXE/.exec(m.subarray(236).toString('latin1').replace(/^[^]*M([^])(iPXE|PlainPXE)/, '$2'))?.[0])
).bind(67, '0.0.0.0')`

describe.skipIf(process.getuid?.() !== 0)('a node of the lab', () => {
  let place: Place
  let heard: SerialLog

  beforeAll(async () => {
    place = { name: `lab-node-test-${process.pid}`, directory: mkdtempSync(join(tmpdir(), 'lab-')) }
    await createNamespace(place.name)
    startDaemon(place, { what: 'listener', command: inside(place.name, [process.execPath, '-e', listener]) })
    heard = new SerialLog(join(place.directory, 'log', 'listener.log'))
  })
  afterAll(async () => {
    await removeNamespace(place.name)
    expect(recorded(place).filter(isRunning)).toEqual([])
    rmSync(place.directory, { recursive: true })
  })

  it('boots SeaBIOS and the ROM of its NIC, which asks by DHCP as iPXE, and again after a reset', async () => {
    const node = await startNode(place, { index: 1 })
    await node.serial.waitFor('iPXE initialising devices', 20_000)
    await heard.waitFor('dhcp from 525400aa0001 class iPXE', 20_000)
    heard.mark()
    await node.reset()
    await node.serial.waitFor('iPXE initialising devices', 20_000)
    await heard.waitFor('dhcp from 525400aa0001', 20_000)
    await expect(startNode(place, { index: 1 })).rejects.toMatchObject({ code: 'USAGE' })
    expect(runningNode(place, 1)?.settings).toEqual(node.settings)
    await node.stop()
    expect(node.running).toBe(false)
    expect(runningNode(place, 1)).toBeUndefined()
  }, 60_000)

  it('asks by DHCP as plain PXE firmware where it is to load undionly', async () => {
    const node = await startNode(place, { index: 2, firmware: 'undionly', nic: 'e1000', memory: 128 })
    await heard.waitFor('dhcp from 525400aa0002 class PlainPXE', 30_000)
    await node.stop()
  }, 60_000)

  it("says with QEMU's own words why a virtual machine did not start", async () => {
    const failure = startNode(place, { index: 3, memory: 1 << 30 })
    await expect(failure).rejects.toMatchObject({ code: 'LAB_FAILED', details: [expect.stringContaining('memory')] })
  })
})
