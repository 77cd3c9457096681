import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { digestOf } from '../../src/store/digest.ts'

const root = new URL('../../', import.meta.url).pathname
let directory: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootloom-native-'))
  for (const name of ['boot/native', 'src/tftp/carry', 'lab/bench/tftp-client.c', 'lab/native.sh']) {
    await cp(join(root, name), join(directory, name), { recursive: true })
  }
})
afterAll(() => rm(directory, { recursive: true, force: true }))

const build = (environment: Record<string, string> = {}) =>
  execa('/bin/sh', [join(directory, 'lab/native.sh')], { env: environment, reject: false })

const digests = async (of: string) => {
  const names = (await readdir(join(of, 'build/native'))).sort()
  return Promise.all(names.map(async (name) => `${name} ${digestOf(await readFile(join(of, 'build/native', name)))}`))
}

test('what runs on a node in C builds to the same bytes anywhere, static, and only when a source changed', async () => {
  expect((await build()).exitCode).toBe(0)
  expect(await digests(directory)).toEqual(await digests(root))
  for (const name of await readdir(join(directory, 'build/native'))) {
    // The name of the loader that a program which is not static asks for.
    expect((await readFile(join(directory, 'build/native', name))).includes('/lib/ld-musl')).toBe(false)
  }
  expect((await build()).stderr).toBe('')
}, 60_000)

test('without a compiler the build says what to install', async () => {
  await rm(join(directory, 'build'), { recursive: true })
  const bare = await mkdtemp(join(directory, 'bin-'))
  for (const name of ['dirname', 'find', 'head']) await cp(`/usr/bin/${name}`, join(bare, name), { dereference: true })
  const { exitCode, stderr } = await build({ PATH: bare })
  expect(exitCode).toBe(1)
  expect(stderr).toContain('apt-get install musl-tools')
})
