import { randomBytes } from 'node:crypto'
import { readFileSync, readSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { HotBlobs } from '../../src/store/hot-blobs.ts'
import { Store } from '../../src/store/store.ts'
import { memoryFiles } from './memory-files.ts'

let directory: string
let store: Store
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'hot-'))
  store = await Store.open(directory)
})
afterAll(() => rm(directory, { recursive: true, force: true }))

test.each([
  ['small, and has no file', 1000, false],
  ['of no whole page', 300_001, true],
  ['of several huge pages and a piece', 5_000_003, true],
])('a blob that is %s is the same by view and by file', async (_name, size, hasFile) => {
  const bytes = randomBytes(size)
  const digest = await store.write(bytes)
  const blob = (await new HotBlobs(store, 64 * 1024 * 1024).get(digest, size))!
  expect(blob.bytes.equals(bytes)).toBe(true)
  expect(blob.descriptor !== undefined).toBe(hasFile)
  if (blob.descriptor === undefined) return
  const read = Buffer.alloc(size + 1)
  expect(readSync(blob.descriptor, read, 0, size + 1, 0)).toBe(size)
  expect(read.subarray(0, size).equals(bytes)).toBe(true)
})

test('what is read is what was checked, whatever becomes of the file on the disk', async () => {
  const bytes = randomBytes(400_000)
  const digest = await store.write(bytes)
  const hot = new HotBlobs(store, 64 * 1024 * 1024)
  await hot.get(digest, bytes.length)
  await writeFile(store.path(digest), 'not the same')
  const { descriptor } = (await hot.get(digest, bytes.length))!
  expect(readFileSync(`/proc/self/fd/${descriptor}`).equals(bytes)).toBe(true)
})

test('memory goes back once nobody reads it any more, and not before', async () => {
  const hot = new HotBlobs(store, 4_000_000)
  const blobs = await Promise.all(
    Array.from({ length: 12 }, async () => {
      const bytes = randomBytes(1_500_000)
      return { bytes, digest: await store.write(bytes) }
    }),
  )
  const first = (await hot.get(blobs[0]!.digest, 1_500_000))!
  for (const { digest } of blobs) await hot.get(digest, 1_500_000)
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const held = () => blobs.filter(({ digest }) => memoryFiles().includes(digest)).length
  for (let tries = 0; held() > 3 && tries < 50; tries++) {
    collect()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  // Two within the limit, and the first, which is still being read.
  expect(held()).toBe(3)
  expect(first.bytes.equals(blobs[0]!.bytes)).toBe(true)
})
