import { rm } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Component } from '../../src/repository/component.ts'
import { debComponents } from '../../src/repository/deb/component.ts'
import { resolveDebs } from '../../src/repository/deb/resolve.ts'
import { compareDebVersions } from '../../src/repository/deb/version.ts'
import { pendingUpdates } from '../../src/repository/pending.ts'
import { temporaryContext } from './deb/built.ts'

/** On the machine's own Debian mirror: what it offers, and a stack that stays on a version. */
let context: Awaited<ReturnType<typeof temporaryContext>>
const suites = { suite: 'bookworm', updates: true, security: true }
const quiet = () => {}

beforeAll(async () => {
  context = await temporaryContext()
})
afterAll(() => context.close())

test('a source tells what it has newer, and fetches and reads only what is wanted; nothing is installed', async () => {
  const packages = { libssl3: '3.0.1-1', netbase: '0.1', 'no-such-package': '1', tzdata: '9999' }
  const found = await pendingUpdates({ suites, packages, kernels: {}, wanted: ['libssl3'] }, context, quiet)
  expect(found.map(({ name }) => name)).toEqual(['libssl3', 'netbase'])
  const [libssl, netbase] = found
  expect(compareDebVersions(libssl!.version, '3.0.1-1')).toBeGreaterThan(0)
  expect(libssl!.suites.every((suite) => suite.startsWith('bookworm'))).toBe(true)
  expect(netbase).not.toHaveProperty('component')
  const component = await context.store.readJson<Component>(libssl!.component!)
  expect(component.entries.map(({ path }) => path)).toContain('/usr/lib/x86_64-linux-gnu/libssl.so.3')
  expect(component.sourcePackage?.name).toBe('openssl')

  const known = { suites, packages: { libssl3: libssl!.version }, kernels: {}, wanted: ['libssl3'] }
  expect(await pendingUpdates(known, context, quiet)).toEqual([])
}, 120_000)

test('a pinned package stays on its version while others are the newest, also once the archive has it no more', async () => {
  const packages = { libssl3: '0' }
  const [newest] = await pendingUpdates({ suites, packages, kernels: {}, wanted: [] }, context, quiet)
  // The release itself, without what came after it, has an older one.
  const plain = { suite: 'bookworm', updates: false, security: false }
  const [older] = await pendingUpdates({ suites: plain, packages, kernels: {}, wanted: ['libssl3'] }, context, quiet)
  expect(compareDebVersions(older!.version, newest!.version)).toBeLessThan(0)
  const versionWith = async (request: typeof suites, pins: { name: string; version: string }[]) => {
    const asked = { ...request, packages: ['libssl3', 'openssl'] }
    const { packages } = await resolveDebs(asked, 'cloud', context, quiet, undefined, pins)
    return packages.find(({ name }) => name === 'libssl3')!
  }
  const pinned = await versionWith(suites, [{ name: 'libssl3', version: older!.version }])
  expect(pinned.version).toBe(older!.version)
  const free = await versionWith(suites, [])
  expect(free.version).toBe(newest!.version)

  // The other way round: the suites asked do not have the pinned version, the store does.
  await debComponents([free], context, quiet)
  const kept = await versionWith(plain, [{ name: 'libssl3', version: newest!.version }])
  expect(kept).toEqual(free)
  await rm(context.store.path(free.deb))
  await expect(versionWith(plain, [{ name: 'libssl3', version: newest!.version }])).rejects.toMatchObject({
    code: 'PIN_UNAVAILABLE',
  })
}, 240_000)
