import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { kernelPackage } from './machine.ts'

const source = (path: string) => new URL(path, import.meta.url).pathname
let directory: string
let image: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootloom-unpack-'))
  const { root, release } = await kernelPackage()
  image = `${root}/boot/vmlinuz-${release}`
  const files = [source('./unpack.c'), source('../../boot/native/unpack.c')]
  const checks = ['-fsanitize=address,undefined', '-fno-sanitize=alignment', '-fno-sanitize-recover=all']
  await execa('gcc', ['-std=gnu11', '-O1', '-Wall', '-Wextra', ...checks, ...files, '-o', join(directory, 'unpack')])
}, 120_000)
afterAll(() => rm(directory, { recursive: true, force: true }))

const unpack = (...words: string[]) =>
  execa(join(directory, 'unpack'), words, { env: { ASAN_OPTIONS: 'detect_leaks=0' }, reject: false })

async function unpacked(shift: number): Promise<Buffer> {
  const file = join(directory, `at-${shift}`)
  const { exitCode, stderr } = await unpack(image, String(shift), file)
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
  return readFile(file)
}

test('a kernel that is moved differs in its addresses only, by as much as it is moved', async () => {
  const [linked, moved] = [await unpacked(0), await unpacked(0x600000)]
  expect(moved.length).toBe(linked.length)
  const notes = linked.indexOf('Linux version ')
  expect(linked.toString('latin1', notes, notes + 40)).toBe(moved.toString('latin1', notes, notes + 40))
  const image = BigInt(linked.length)
  const text = 0xffffffff80000000n
  const begin = 0x1000000n
  let addresses = 0
  for (let at = 0; at + 8 <= linked.length; at += 8) {
    const before = linked.readBigUInt64LE(at)
    // A pointer into the kernel, wherever one stands aligned, has moved or is none.
    if (before < text + begin || before >= text + begin + image) continue
    const after = moved.readBigUInt64LE(at)
    if (after === before + 0x600000n) addresses++
  }
  expect(addresses).toBeGreaterThan(50_000)
  let same = 0
  for (let at = 0; at < linked.length; at += 4096)
    same += Number(linked.compare(moved, at, at + 4096, at, at + 4096) === 0)
  // Text without addresses, strings, and what is all zeros.
  expect(same).toBeGreaterThan(linked.length / 4096 / 4)
}, 120_000)

test('of a damaged image it reads and writes nothing beside it', async () => {
  const { exitCode, stdout, stderr } = await unpack(image, 'damage', '60')
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
  // Of a byte that is changed inside a literal nobody knows.
  expect(Number(stdout)).toBeLessThan(60)
}, 300_000)

test('an image that is none is left to others', async () => {
  const { exitCode, stderr } = await unpack(source('./unpack.test.ts'), '0', join(directory, 'none'))
  expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: '' })
})
