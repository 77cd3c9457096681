import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Admission } from '../../src/fleet/admission.ts'

const macAt = (index: number) => `52:54:00:00:00:${index.toString(16).padStart(2, '0')}`

describe('admission', () => {
  test('so many nodes download at once, the others are told their place and a time with jitter', () => {
    const admission = new Admission(2, () => 0.5)
    expect([0, 1].map((index) => admission.ask(macAt(index), 0))).toEqual([undefined, undefined])
    expect(admission.ask(macAt(2), 0)).toMatchObject({ place: 1 })
    expect(admission.ask(macAt(3), 0)).toMatchObject({ place: 2, of: 2 })
    const early = new Admission(1, () => 0)
    const late = new Admission(1, () => 0.999)
    for (const each of [early, late]) each.ask(macAt(0), 0)
    expect(early.ask(macAt(1), 0)!.seconds).toBeLessThan(late.ask(macAt(1), 0)!.seconds)
  })

  test('who came first goes first, also when a later one happens to ask just then', () => {
    const admission = new Admission(1)
    for (const index of [0, 1, 2]) admission.ask(macAt(index), 0)
    admission.done(macAt(0), 1000)
    expect(admission.ask(macAt(2), 1001)).toMatchObject({ place: 2 })
    expect(admission.ask(macAt(1), 1002)).toBeUndefined()
  })

  test('who is admitted may ask again, after a reset for instance', () => {
    const admission = new Admission(1)
    expect(admission.ask(macAt(0), 0)).toBeUndefined()
    expect(admission.ask(macAt(0), 20_000)).toBeUndefined()
    expect(admission.admitted).toBe(1)
  })

  test('a node that died loses its place: while it downloads after a silence, in the queue when it does not come back', () => {
    const admission = new Admission(1, () => 0)
    for (const index of [0, 1, 2]) admission.ask(macAt(index), 0)
    admission.moving(macAt(0), 30_000)
    for (const at of [10_000, 20_000, 30_000, 40_000, 50_000, 60_000, 70_000]) {
      expect(admission.ask(macAt(2), at)).toBeDefined()
    }
    // 0 fell silent at 30 s, and 1 never came back.
    expect(admission.ask(macAt(2), 76_000)).toBeUndefined()
  })

  test('never more than the limit, and everyone who keeps asking is served, whoever dies', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.boolean(), { minLength: 1, maxLength: 24 }),
        (limit, dies) => {
          const admission = new Admission(limit)
          const next = dies.map(() => 0)
          const served = new Set<number>()
          const busy = new Map<number, number>()
          for (let second = 0; second < 4000 && served.size < dies.filter((dead) => !dead).length; second++) {
            for (const [index, until] of busy) {
              if (second < until) continue
              busy.delete(index)
              if (dies[index]) continue
              admission.done(macAt(index), second * 1000)
              served.add(index)
            }
            for (const [index, at] of next.entries()) {
              if (second < at || served.has(index) || busy.has(index)) continue
              const wait = admission.ask(macAt(index), second * 1000)
              if (wait) next[index] = dies[index] ? Number.POSITIVE_INFINITY : second + wait.seconds
              else {
                busy.set(index, second + 5)
                if (dies[index]) next[index] = Number.POSITIVE_INFINITY
              }
            }
            expect(admission.admitted).toBeLessThanOrEqual(limit)
          }
          expect(served.size).toBe(dies.filter((dead) => !dead).length)
        },
      ),
      { numRuns: 50 },
    )
  })
})
