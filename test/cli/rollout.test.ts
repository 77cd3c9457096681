import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import { renderRollout } from '../../src/cli/rollout-view.ts'
import type { Rollout, RolloutNode } from '../../src/state/rollouts.ts'
import { digestOf } from '../../src/store/digest.ts'

const rollout: Rollout = {
  id: 'a',
  blueprint: 'shop',
  channel: 'stable',
  from: digestOf('from'),
  to: digestOf('to'),
  batch: 2,
  maxFailures: 1,
  deadline: 300,
  full: false,
  state: 'returning',
  ending: 'stopped',
  reason: '1 of 3 nodes did not come up',
  startedAt: 1,
}
const node = (place: number, more: Partial<RolloutNode>): RolloutNode => {
  return {
    mac: `52:54:00:00:00:0${place}`,
    place,
    way: 'out',
    step: 'waiting',
    since: Date.now(),
    told: false,
    ...more,
  }
}

test('a rollout shows how many moved, and of each node where it is and why', async () => {
  const nodes = [
    node(1, { step: 'done', told: true }),
    node(2, { way: 'back', step: 'boot', failed: 'not ready within 300 s' }),
    node(3, { step: 'skipped', reason: 'it is off' }),
  ]
  const text = stripVTControlCharacters(await renderRollout({ rollout, nodes }))
  const lines = text.split('\n').map((line) => line.trimEnd())
  expect(lines[0]).toMatch(/^shop \(stable\): [0-9a-f]+ → [0-9a-f]+: returning, 1 of 3 moved, 1 failed, 1 passed over$/)
  expect(lines[1]).toBe('1 of 3 nodes did not come up')
  expect(lines.slice(3).map((line) => line.replace(/ +\d+ s$/, ''))).toEqual([
    expect.stringMatching(/01 +moved$/),
    expect.stringMatching(/02 +is brought back: not ready within 300 s$/),
    expect.stringMatching(/03 +passed over: it is off$/),
  ])
})
