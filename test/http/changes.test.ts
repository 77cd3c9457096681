import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Context, openContext } from '../../src/change/context.ts'
import { newPart } from '../../src/change/pipeline/part.ts'
import { silent } from '../../src/config/log.ts'
import { settingsSchema } from '../../src/config/settings.ts'
import { ApiClient } from '../../src/http/api-client.ts'
import { startControl } from '../../src/http/control.ts'
import { openChange } from '../../src/state/change-opening.ts'
import type { Change } from '../../src/state/changes.ts'
import { channelPointers, moveChannel } from '../../src/state/channels.ts'
import { latestEvents } from '../../src/state/events.ts'
import { updateNode } from '../../src/state/nodes.ts'
import { bootloom } from '../cli/launcher.ts'
import { pattern, putBundle } from './fixture.ts'

let state: string
let control: { close(): Promise<void> }
let client: ApiClient
let context: Context

beforeAll(async () => {
  state = await mkdtemp(join(tmpdir(), 'ch-'))
  const settings = settingsSchema.parse({ state })
  control = await startControl(settings, silent)
  client = new ApiClient(join(state, 'api.sock'))
  context = await openContext(settings, silent)
})
afterAll(async () => {
  await context.close()
  await client.close()
  await control.close()
  await rm(state, { recursive: true, force: true })
})

const cli = (...words: string[]) => bootloom(['--state', state, ...words])
const update = { kind: 'deb', name: 'libssl3', from: '1', to: '2', files: 2, suites: [], fixes: ['CVE-2026-1'] }

test('changes are listed and shown with what they bring and how far they have come, and held with a reason', async () => {
  await openChange(context.state.redis, 'sources', [
    { part: newPart('shop', 'detected', { impact: { files: 2, paths: ['/a.so', '/b.so'] } }), updates: [update] },
    { part: newPart('blog', 'unaffected', { why: 'nothing of it is in the bundle' }), updates: [update] },
  ])
  const { stdout: list } = await cli('change', 'list')
  expect(list).toMatch(/^1 .*the sources offer it.*blog unaffected; shop detected.*libssl3 2$/m)
  const { stdout: shown } = await cli('change', 'show', '1')
  expect(shown).toContain('brings   libssl3 1 → 2, 2 files of the bundle differ, mends CVE-2026-1')
  expect(shown).toContain('changes  /a.so, /b.so')
  expect(shown).toContain('blog  unaffected: nothing of it is in the bundle')
  expect(shown).toContain('see      bootloom impact --cve CVE-2026-1')

  const { stdout } = await cli('change', 'hold', '1', '--blueprint', 'shop', '--reason', 'TICKET-17', '--json')
  const shop = (JSON.parse(stdout) as Change).parts.find(({ blueprint }) => blueprint === 'shop')
  expect(shop).toMatchObject({ state: 'held', why: 'TICKET-17' })
  const [told] = (await latestEvents(context.state.redis, 1)) as unknown as [Record<string, unknown>]
  expect(told).toMatchObject({ event: 'change-held', change: '1', blueprint: 'shop', reason: 'TICKET-17' })

  // Whoever boots the blueprint has it before them.
  const mac = '52:54:00:00:00:01'
  const assignment = { blueprint: 'shop', channel: 'stable' } as const
  await updateNode(context.state.redis, mac, () => ({ mac, groups: [], assignment }))
  const { stdout: nodes } = await cli('node', 'list')
  expect(nodes).toContain('libssl3 2 mends CVE-2026-1 (change 1 held)')
})

test.each([
  ['of which there is none', ['show', '99'], 'CHANGE_UNKNOWN'],
  ['about another blueprint', ['hold', '1', '--blueprint', 'other'], 'CHANGE_UNKNOWN'],
  ['that waits for nobody', ['approve', '1'], 'CHANGE_STATE'],
  ['that moved no channel', ['rollback', '1'], 'CHANGE_STATE'],
])('a change %s is refused what is asked of it', async (_what, words, code) => {
  const { stderr, exitCode } = await cli('change', ...words)
  expect({ stderr, exitCode }).toMatchObject({ stderr: expect.stringContaining(code), exitCode: 1 })
})

test('rolling a change back brings the channels of all its blueprints back, but for those that moved on since', async () => {
  const { redis } = context.state
  const bundles = await Promise.all(
    ['one', 'two'].flatMap((blueprint) =>
      [1, 2].map((seed) => putBundle(context.store, { blueprint, cmdline: `${seed}`, parts: [pattern(8, seed)] })),
    ),
  )
  const [one, oneAfter, two, twoAfter] = bundles
  const names = { one: [one!, oneAfter!], two: [two!, twoAfter!] } as const
  const shares = Object.entries(names).map(([blueprint, [from, to]]) => {
    const moved = [{ channel: 'stable' as const, from, to, at: 1, reason: 'test' }]
    return { part: newPart(blueprint, 'promoted', { bundle: to, moved }), updates: [], always: true }
  })
  const opened = await openChange(redis, 'asked', shares)
  for (const [blueprint, [, to]] of Object.entries(names))
    await moveChannel(redis, { blueprint, channel: 'stable', digest: to, reason: 'test' })
  await moveChannel(redis, { blueprint: 'two', channel: 'stable', digest: two!, reason: 'by hand' })
  const { stdout } = await cli('change', 'rollback', opened[0]!.change)
  expect(stdout).toContain('stable of one is')
  expect(stdout).toContain('stable of two is left as it is: it has moved on since')
  expect(await channelPointers(redis, 'one')).toEqual({ stable: one })
  expect(await channelPointers(redis, 'two')).toEqual({ stable: two })
  const { parts } = await client.request<Change>('GET', `/v1/changes/${opened[0]!.change}`)
  expect(parts.map((part) => part.state)).toEqual(['rolled-back', 'rolled-back'])
})
