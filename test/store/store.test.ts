import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { canonicalJson, digestOf, parseDigest } from '../../src/store/digest.ts'
import { Store } from '../../src/store/store.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'store-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

test('a blob is named by its SHA-256 and reads back', async () => {
  const store = await Store.open(directory)
  const digest = await store.write(Buffer.from('hello\n'))
  expect(digest).toBe('sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03')
  expect((await store.readVerified(digest)).toString()).toBe('hello\n')
  expect(await store.size(digest)).toBe(6)
})

test('the directory is an OCI image layout', async () => {
  await Store.open(directory)
  expect(JSON.parse(await readFile(join(directory, 'oci-layout'), 'utf8'))).toEqual({ imageLayoutVersion: '1.0.0' })
  expect(JSON.parse(await readFile(join(directory, 'index.json'), 'utf8'))).toEqual({ schemaVersion: 2, manifests: [] })
})

test('a stream that fails half-way leaves nothing', async () => {
  const store = await Store.open(directory)
  async function* broken() {
    yield Buffer.from('half')
    throw new Error('the line broke')
  }
  await expect(store.writeStream(broken())).rejects.toThrow('the line broke')
  expect(await readdir(join(directory, 'blobs', 'sha256'))).toEqual([])
  expect(await readdir(join(directory, 'incoming'))).toEqual([])
})

test('a batch is invisible until it is committed, and leaves nothing when abandoned', async () => {
  const store = await Store.open(directory)
  const batch = await store.batch()
  const digest = await batch.write(Buffer.from('one'))
  await batch.write(Buffer.from('one'))
  expect(await store.has(digest)).toBe(false)
  await batch.commit()
  expect((await store.read(digest)).toString()).toBe('one')

  const abandoned = await store.batch()
  const never = await abandoned.write(Buffer.from('two'))
  await abandoned.abandon()
  expect(await store.has(never)).toBe(false)
  expect(await readdir(join(directory, 'incoming'))).toEqual([])
})

test('what a killed process had begun is removed at the next start, what a living one writes is not', async () => {
  await Store.open(directory)
  const dead = join(directory, 'incoming', '999999999-x')
  const alive = join(directory, 'incoming', `${process.pid}-y`)
  await mkdir(dead)
  await writeFile(join(dead, 'part'), 'half')
  await writeFile(alive, 'going on')
  await Store.open(directory)
  expect(await readdir(join(directory, 'incoming'))).toEqual([`${process.pid}-y`])
})

test('a blob that was damaged on disk is refused by a verified read', async () => {
  const store = await Store.open(directory)
  const digest = await store.write(Buffer.from('good'))
  await writeFile(store.path(digest), 'evil')
  await expect(store.readVerified(digest)).rejects.toMatchObject({ code: 'BLOB_CORRUPT' })
})

test('a missing blob and a malformed digest are errors with a code', async () => {
  const store = await Store.open(directory)
  await expect(store.read(digestOf('nothing'))).rejects.toMatchObject({ code: 'BLOB_MISSING' })
  expect(() => parseDigest('sha256:../../etc/passwd')).toThrow(expect.objectContaining({ code: 'DIGEST_INVALID' }))
})

test('tags stand in index.json, replace each other and go away', async () => {
  const store = await Store.open(directory)
  const descriptor = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: digestOf('m'), size: 1 }
  await store.tag('apache:fast', descriptor)
  await store.tag('apache:fast', { ...descriptor, digest: digestOf('n') })
  expect((await store.tags()).map((tag) => tag.digest)).toEqual([digestOf('n')])
  await store.tag('apache:fast', undefined)
  expect(await store.tags()).toEqual([])
})

test('canonical JSON does not depend on the order of keys', () => {
  expect(canonicalJson({ b: 1, a: { d: [2, 1], c: undefined } })).toBe('{"a":{"d":[2,1]},"b":1}')
})
