import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import { type NodeDetails, renderNode } from '../../src/cli/timeline.ts'
import { timeline } from '../../src/fleet/timeline.ts'
import type { Boot } from '../../src/state/boots.ts'

const start = Date.UTC(2026, 0, 2, 3, 4, 5)
const bundle = `sha256:${'ab'.repeat(32)}` as const

const boot: Boot = {
  id: 'b1',
  mac: '52:54:00:aa:00:01',
  openedAt: start,
  updatedAt: start + 6800,
  blueprint: 'apache',
  bundle,
  stages: [
    { stage: 'discover', at: start, by: 'firmware' },
    { stage: 'ack', at: start + 120, by: 'firmware', address: '10.77.0.100' },
    { stage: 'kernel', at: start + 2120, bytes: 14_200_000, took: 900 },
    { stage: 'ready', at: start + 6800, uptime: 2.1 },
  ],
  outcome: 'ready',
}

async function lines(boots: Boot[], count = 1, more: Partial<NodeDetails> = {}): Promise<string[]> {
  const shown = boots.map((one) => ({ ...one, stages: timeline(one) }))
  const node = { mac: boot.mac, hostname: 'web1', groups: ['web'] }
  const assignment = { blueprint: 'apache', channel: 'stable', via: 'group web' } as const
  const details = { node, assignment, answer: {}, tries: [], hold: null, hardware: null, boots: shown, ...more }
  const text = await renderNode(details, count)
  return stripVTControlCharacters(text).split('\n')
}

test('a boot is shown from its first DISCOVER to ready, with durations and bytes', async () => {
  const shown = await lines([boot])
  expect(shown.slice(0, 4)).toEqual([
    'node     52:54:00:aa:00:01',
    'hostname web1',
    'groups   web',
    'boots    apache (stable), by group web',
  ])
  expect(shown[5]).toMatch(/^boot of 2026-01-02 .*, apache @ abababababab: ready after 6\.8 s$/)
  expect(shown.slice(6).map((line) => line.replace(/ {2,}/g, '  '))).toEqual([
    'stage  at  took  bytes  detail',
    'discover  0 ms  0 ms  firmware',
    'ack  120 ms  120 ms  firmware, 10.77.0.100',
    'kernel  2.1 s  900 ms  14.2 MB',
    'ready  6.8 s  4.7 s  up 2.1 s',
  ])
})

test('a node shows its devices by class and id', async () => {
  const modaliases = ['acpi:PNP0C0C:', 'pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00']
  const shown = await lines([boot], 1, { hardware: { modaliases, at: start } })
  expect(shown.slice(4, 7)).toEqual([
    expect.stringMatching(/^hardware 2 devices, told 2026-01-02 /),
    '         Ethernet controller 8086:100e',
    '         and 1 of the board itself',
  ])
})

test('a boot that failed says why, with what the node printed last', async () => {
  const failed: Boot = { ...boot, outcome: 'failed', reason: 'end marker missing', lines: ['one', 'two'] }
  expect((await lines([failed])).slice(-3)).toEqual(['reason: end marker missing', '  one', '  two'])
})

test('only as many boots are shown as were asked for, and a node that never booted says so', async () => {
  const headings = async (boots: Boot[], count: number) =>
    (await lines(boots, count)).filter((line) => line.startsWith('boot of')).length
  expect(await headings([boot, boot, boot], 2)).toBe(2)
  expect((await lines([])).at(-1)).toBe('It has not booted yet.')
})

test('a node that fell back says from which bundle to which, after how many tries, and what is on hold', async () => {
  const bad = `sha256:${'cd'.repeat(32)}` as const
  const shown = await lines([{ ...boot, gaveUp: bad }], 1, {
    answer: { bundle, gaveUp: bad },
    tries: [{ bundle: bad, boots: ['b', 'c'], gaveUp: start }],
    hold: { bundle: bad, channel: 'stable', mac: boot.mac, at: start },
  })
  expect(shown.slice(4, 7)).toEqual([
    'tried    cdcdcdcdcdcd 2 times without being ready',
    'gets     abababababab instead of cdcdcdcdcdcd',
    expect.stringMatching(/^on hold {2}cdcdcdcdcdcd since 2026-01-02 /),
  ])
  expect(shown[8]).toContain('apache @ abababababab instead of cdcdcdcdcdcd: ready')
})
