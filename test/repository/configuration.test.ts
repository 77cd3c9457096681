import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Component } from '../../src/repository/component.ts'
import { configurationOf } from '../../src/repository/configuration.ts'
import { Store } from '../../src/store/store.ts'

let directory: string
let store: Store
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootloom-configuration-'))
  store = await Store.open(join(directory, 'store'))
  await mkdir(join(directory, 'root', 'srv'), { recursive: true })
})
afterEach(() => rm(directory, { recursive: true }))

async function read(packages: readonly Component[] = []) {
  const batch = await store.batch()
  const { entries } = await configurationOf(join(directory, 'root'), packages, 7, batch)
  await batch.commit()
  return Object.fromEntries(entries.map(({ path, ...entry }) => [path, entry]))
}

test.skipIf(process.getuid?.() !== 0)('pipes, devices and links in a circle are carried, sockets are not', async () => {
  const srv = join(directory, 'root', 'srv')
  execFileSync('mkfifo', ['-m', '600', join(srv, 'pipe')])
  execFileSync('mknod', [join(srv, 'null'), 'c', '1', '3'])
  execFileSync('mknod', [join(srv, 'disk'), 'b', '259', '300'])
  await symlink('round', join(srv, 'round'))
  await writeFile(join(srv, 'plain'), 'x')
  const listening = createServer().listen(join(srv, 'socket'))
  await once(listening, 'listening')
  const found = await read()
  listening.close()
  expect(Object.keys(found)).toEqual(['/srv', '/srv/disk', '/srv/null', '/srv/pipe', '/srv/plain', '/srv/round'])
  expect(found).toMatchObject({
    '/srv/pipe': { type: 'fifo', mode: 0o600 },
    '/srv/null': { type: 'char', device: [1, 3] },
    '/srv/disk': { type: 'block', device: [259, 300] },
    '/srv/round': { type: 'symlink', target: 'round' },
  })
  const shipped: Component = {
    kind: 'deb',
    name: 'one',
    version: '1',
    architecture: 'all',
    mtime: 0,
    entries: Object.entries(found).map(([path, entry]) => ({ path, ...entry })),
  }
  expect(await read([shipped])).toEqual({})
})
