import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compareDebVersions } from '../../../src/repository/deb/version.ts'

/** What dpkg itself says of each pair, asked in one shell: a process for each of thousands would take minutes. */
function dpkgSays(pairs: readonly (readonly [string, string])[]): number[] {
  const script = pairs.map(
    ([a, b]) => `if dpkg --compare-versions '${a}' lt '${b}'; then echo -1
elif dpkg --compare-versions '${a}' gt '${b}'; then echo 1; else echo 0; fi`,
  )
  const answer = execFileSync('sh', ['-s'], { input: script.join('\n'), encoding: 'utf8' })
  return answer.trim().split('\n').map(Number)
}

/** Few letters, so that pairs differ in one place or two: that is where the order is decided. */
const piece = fc.stringMatching(/^[0-9][0a1b.+~]{0,6}$/)
const version = fc
  .tuple(fc.option(fc.nat(2)), piece, fc.option(fc.stringMatching(/^[01a+~.]{1,4}$/)))
  .map(
    ([epoch, upstream, revision]) =>
      `${epoch === null ? '' : `${epoch}:`}${upstream}${revision === null ? '' : `-${revision}`}`,
  )

describe('the order of Debian versions', () => {
  test.each([
    ['3.0.20-1~deb12u2', '3.0.22-1~deb12u2', -1],
    ['1.0~rc1-1', '1.0-1', -1],
    ['1.0', '1.0-0', 0],
    ['1:0.1', '9', 1],
    ['1.0+b1', '1.0', 1],
    ['1.0a', '1.0+', -1],
    ['007', '7', 0],
    ['1.99999999999999999999', '1.99999999999999999998', 1],
    ['6.1.176-1', '6.1.192-1', -1],
  ] as const)('%s against %s is %i', (a, b, expected) => {
    expect(Math.sign(compareDebVersions(a, b))).toBe(expected)
    expect(Math.sign(compareDebVersions(b, a))).toBe(expected === 0 ? 0 : -expected)
  })

  test('is that of dpkg --compare-versions, for versions made at random', () => {
    const pairs = fc.sample(fc.tuple(version, version), { numRuns: 600, seed: 5 })
    expect(pairs.map(([a, b]) => Math.sign(compareDebVersions(a, b)))).toEqual(dpkgSays(pairs))
  }, 60_000)

  test('is an order: what comes before each other comes before in a row, too', () => {
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        if (compareDebVersions(a, b) <= 0 && compareDebVersions(b, c) <= 0) {
          expect(compareDebVersions(a, c)).toBeLessThanOrEqual(0)
        }
      }),
    )
  })
})
