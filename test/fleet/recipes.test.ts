import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { BundleConfig, SegmentSummary } from '../../src/compose/bundle-format.ts'
import { type CpioMember, writeCpio } from '../../src/compose/cpio.ts'
import { weaveFrameNow } from '../../src/compose/frame.ts'
import { Recipes } from '../../src/fleet/recipes.ts'
import { digestOf, hexOf } from '../../src/store/digest.ts'
import { Store } from '../../src/store/store.ts'

let directory: string
let store: Store

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'recipes-'))
  store = await Store.open(directory)
})
afterAll(() => rm(directory, { recursive: true, force: true }))

/** So much that a recipe of it is worth its bytes. */
const large = Buffer.concat(Array.from({ length: 200 }, (_, i) => Buffer.from(hexOf(digestOf(`${i}`)), 'hex')))

async function segment(name: string, members: readonly CpioMember[], more: Partial<SegmentSummary> = {}) {
  const raw = Buffer.concat(writeCpio(members, 1700000000))
  const frame = weaveFrameNow(raw)
  const digest = await store.write(frame)
  return {
    name,
    version: '1',
    kind: 'deb',
    files: members.length,
    raw: raw.length,
    size: frame.length,
    digest,
    ...more,
  }
}

const config = (...segments: SegmentSummary[]) => ({ segments }) as unknown as BundleConfig
const file = (path: string, content: Uint8Array): CpioMember => {
  return { path, type: 'file', mode: 0o4755, uid: 0, gid: 33, content }
}

test('what the running bundle has, too, is told member by member, in words that hold any name', async () => {
  const own = { uid: 0, gid: 0 }
  const same = await segment('same', [
    file('/a b%é', large),
    { path: '/d', type: 'dir', mode: 0o1777, ...own },
    { path: '/dev/null', type: 'char', mode: 0o666, ...own, device: [1, 3] },
    { path: '/l', type: 'symlink', mode: 0o777, ...own, target: '/to here' },
    { path: '/z', type: 'hardlink', mode: 0, ...own, target: '/a b%é' },
  ])
  const [digest, nothing] = [hexOf(digestOf(large)), hexOf(digestOf(''))]
  expect(await new Recipes(store).of(config(same), config(same))).toBe(
    [
      `=${same.size}`,
      `104755\t0\t33\t1700000000\t1\t2\t0\t${nothing}\ta%20b%25%C3%A9`,
      '41777\t0\t0\t1700000000\t2\t2\t0\t-\td',
      '20666\t0\t0\t1700000000\t3\t1\t0\t1:3\tdev/null',
      '120777\t0\t0\t1700000000\t4\t1\t8\t/to%20here\tl',
      `104755\t0\t33\t1700000000\t1\t2\t${large.length}\t${digest}\tz`,
      '',
    ].join('\n'),
  )
})

test('what it has not, what is taken away once it was used, and what is smaller than its recipe is to be fetched', async () => {
  const had = await segment('had', [file('/had', large)])
  const next = await segment('had', [file('/had', large.subarray(1))], { version: '2' })
  const drivers = await segment('drivers', [file('/driver', large)], { kind: 'drivers' })
  const small = await segment('small', [file('/small', Buffer.from('small'))])
  expect(await new Recipes(store).of(config(next, drivers, small), config(had, drivers, small))).toBe(
    `=${next.size}\n=${drivers.size}\n=${small.size}\n`,
  )
})

test('the same at another level is taken for the same: the node compares the files', async () => {
  const fast = await segment('same', [file('/same', large)])
  const running = { ...fast, digest: digestOf('another frame'), size: 1 }
  expect(await new Recipes(store).of(config(fast), config(running))).toContain('\tsame\n')
})
