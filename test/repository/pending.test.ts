import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Component } from '../../src/repository/component.ts'
import { debComponents } from '../../src/repository/deb/component.ts'
import { resolvePackages } from '../../src/repository/deb/resolve.ts'
import { compareDebVersions } from '../../src/repository/deb/version.ts'
import { pendingUpdates } from '../../src/repository/pending.ts'
import { buildDeb, temporaryContext } from './deb/built.ts'

/** On the machine's own Debian mirror: what it offers, and a stack that stays on a version. */
let context: Awaited<ReturnType<typeof temporaryContext>>
const suites = { suite: 'bookworm', updates: true, security: true }
const quiet = () => {}
let newest: string

beforeAll(async () => {
  context = await temporaryContext()
})
afterAll(() => context.close())

test('a source tells what it has newer, and fetches and reads only what is wanted; nothing is installed', async () => {
  const packages = { libssl3: '3.0.1-1', netbase: '0.1', 'no-such-package': '1', tzdata: '9999' }
  const found = await pendingUpdates({ suites, packages, kernels: {}, wanted: ['libssl3'] }, context, quiet)
  expect(found.map(({ name }) => name)).toEqual(['libssl3', 'netbase'])
  const [libssl, netbase] = found
  newest = libssl!.version
  expect(compareDebVersions(newest, '3.0.1-1')).toBeGreaterThan(0)
  expect(libssl!.suites.every((suite) => suite.startsWith('bookworm'))).toBe(true)
  expect(netbase).not.toHaveProperty('component')
  const component = await context.store.readJson<Component>(libssl!.component!)
  expect(component.entries.map(({ path }) => path)).toContain('/usr/lib/x86_64-linux-gnu/libssl.so.3')
  expect(component.sourcePackage?.name).toBe('openssl')
}, 120_000)

test('a pinned package stays on its version while others are the newest, also once the archive has it no more', async () => {
  const libssl = async (version: string) => {
    const pins = [{ name: 'libssl3', version }]
    const request = { ...suites, packages: ['libssl3', 'openssl'] }
    const { packages } = await resolvePackages(request, pins, context, quiet)
    return packages.find(({ name }) => name === 'libssl3')!
  }
  // bookworm itself has an older one than bookworm-security.
  const older = '3.0.20-1~deb12u2'
  expect(compareDebVersions(older, newest)).toBeLessThan(0)
  expect((await libssl(older)).version).toBe(older)

  // One that no archive has, but the store.
  const version = '3.0.21-1~only-here'
  await expect(libssl(version)).rejects.toMatchObject({ code: 'PIN_UNAVAILABLE', where: 'libssl3' })
  const file = await buildDeb(
    context.directory,
    { Package: 'libssl3', Version: version, Architecture: 'amd64' },
    async () => {},
  )
  const deb = await context.store.write(await readFile(file))
  await debComponents([{ name: 'libssl3', version, architecture: 'amd64', deb }], context, quiet)
  expect(await libssl(version)).toEqual({ name: 'libssl3', version, architecture: 'amd64', deb })
}, 120_000)
