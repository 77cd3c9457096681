import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { pageSize } from '../../src/blueprint/pages.ts'
import { bootsOf } from '../../src/state/boots.ts'
import { listMisses } from '../../src/state/misses.ts'
import { digestOf, hexOf } from '../../src/store/digest.ts'
import { type Fixture, pattern, startFixture } from '../http/fixture.ts'
import { bootNode, type Line, lineTo, type Node } from './misses.ts'

/** Real nodes with a file of 200 pages, three of which are in their bundle. */
const macs = { deny: '52:54:00:aa:05:01', fetch: '52:54:00:aa:05:02' } as const
const path = '/usr/share/tables.bin'
const content = Buffer.concat([pattern(200 * pageSize, 7), Buffer.from('the end')])
const paged = { [path]: { content, pages: '0,2,200' } }

let fixture: Fixture
let line: Line
const nodes: Partial<Record<keyof typeof macs, Node>> = {}

beforeAll(async () => {
  fixture = await startFixture()
  line = await lineTo(fixture)
  nodes.deny = await bootNode(fixture, line, { mac: macs.deny, onMiss: 'deny', lacking: {}, paged })
  // Its packages are an image below the same overlay.
  const below = { mac: macs.fetch, onMiss: 'fetch', root: 'squashfs', lacking: { '/srv/else': 'x' }, paged } as const
  nodes.fetch = await bootNode(fixture, line, below)
  for (const mac of Object.values(macs)) {
    const isReady = async () => {
      await fixture.boots.flush()
      expect((await bootsOf(fixture.state.redis, mac, 1))[0]?.outcome).toBe('ready')
    }
    await vi.waitFor(isReady, { timeout: 60_000, interval: 200 })
  }
}, 120_000)

afterAll(async () => {
  for (const node of Object.values(nodes)) {
    node.process.kill('SIGKILL')
    if (process.env.CONSOLE) console.info(node.machine.console())
  }
  line?.close()
  await fixture?.close()
})

const shaOf = (page: number): string => hexOf(digestOf(content.subarray(page * pageSize, (page + 1) * pageSize)))
const read = (page: number) => `dd if=${path} bs=${pageSize} skip=${page} count=1 2>/dev/null | sha256sum`

async function outcomesOn(which: keyof typeof macs) {
  const all = await listMisses(fixture.state.redis, 'test')
  return all.flatMap((miss) => (miss.node === macs[which] && miss.path === path ? [[miss.outcome, miss.page]] : []))
}

test('a locked node has the pages that are kept, gives an error for others, and tells of them', async () => {
  const node = nodes.deny!
  expect(await node.shell(`stat -c %s ${path}; ${read(2)}; ${read(200)}`)).toBe(
    `${content.length}\n${shaOf(2)}  -\n${shaOf(200)}  -\n`,
  )
  expect(await node.shell(`cat ${path} >/dev/null; echo status $?`)).toMatch(/Input\/output error\nstatus 1\n/)
  await vi.waitFor(async () => expect(await outcomesOn('deny')).toEqual([['missed', 1]]), 20_000)
  expect(await node.shell(`echo x >>${path}; ${read(0)}`)).toMatch(/Read-only file system\n/)
  await vi.waitFor(async () => expect(await outcomesOn('deny')).toEqual([['written', undefined]]), 20_000)
  expect(node.machine.console()).toMatch(/cat \[\d+\] read page 1 of \/usr\/share\/tables\.bin, which the bundle lacks/)
}, 60_000)

test('a node that reaches back brings the rest while the reader waits, and a file that is written to as a whole', async () => {
  const node = nodes.fetch!
  expect(await node.shell(`${read(2)}; sha256sum <${path}`)).toBe(`${shaOf(2)}  -\n${hexOf(digestOf(content))}  -\n`)
  const more = hexOf(digestOf(Buffer.concat([content, Buffer.from('x\n')])))
  expect(await node.shell(`echo x >>${path}; sha256sum <${path}`)).toBe(`${more}  -\n`)
  await vi.waitFor(async () => expect(await outcomesOn('fetch')).toEqual([['fetched', undefined]]), 20_000)
}, 60_000)
