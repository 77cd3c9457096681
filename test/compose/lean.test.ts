import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { compose } from '../../src/compose/bundle.ts'
import { silent } from '../../src/config/log.ts'
import { loadComponent } from '../../src/repository/recorded.ts'
import { openState, type State } from '../../src/state/redis.ts'
import { digestOf } from '../../src/store/digest.ts'
import { Store } from '../../src/store/store.ts'
import { blueprintOf, componentOf, selectionOf, stackOf } from './stack.ts'

let directory: string
let state: State
let store: Store

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootloom-lean-'))
  state = await openState({ directory }, silent)
  store = await Store.open(join(directory, 'store'))
})
afterAll(async () => {
  await state.close()
  await rm(directory, { recursive: true, force: true })
})

/** A bundle that lacks a file of its stack, with a kernel that was built of these fragments. */
async function weave(kernel: Readonly<Record<string, unknown>>, fragments: readonly string[]) {
  const source = await componentOf(store, 'kernel', 'linux-source-6.1', '6.1.1-1', {
    '/usr/src/linux-source-6.1.deb': 'the source',
  })
  const built = await componentOf(store, 'kernel', '6.1.1-lean-00112233', '6.1.1-1', {
    '/boot/vmlinuz-6.1.1-lean-00112233': 'a kernel',
    '/boot/config-6.1.1-lean-00112233': 'CONFIG_SMP=y\n',
  })
  const busybox = await componentOf(store, 'deb', 'busybox-static', '1', { '/bin/busybox': 'busybox' })
  const serve = await componentOf(store, 'deb', 'serve', '1', { '/usr/bin/serve': 'x', '/usr/lib/lost.so': 'y' })
  const all = await selectionOf(store, [serve])
  const parts = all.parts.map((part) => ({ ...part, files: part.files.filter(({ path }) => !path.includes('lost')) }))
  const request = {
    blueprint: blueprintOf({ kernel: { flavour: 'lean', ...kernel } }),
    blueprintDigest: digestOf('blueprint'),
    stack: stackOf([serve], source, busybox),
    stackDigest: digestOf('stack'),
    selection: { ...all, parts },
    selectionDigest: digestOf('selection'),
    kernel: { component: await loadComponent(built, store), fragments },
    modules: [],
    level: 'fast',
    zstdLevel: 3,
    context: { store, state, log: silent },
  } as const
  return compose(request, () => {})
}

const namesOf = ({ config }: Awaited<ReturnType<typeof weave>>) => config.segments.map(({ name }) => name)

test('a bundle with a lean kernel has no drivers, and no watch for misses that its kernel could not see', async () => {
  const bundle = await weave({}, ['base'])
  expect(namesOf(bundle)).toEqual(['base', 'serve', 'application'])
  expect(bundle.config.kernel).toMatchObject({ release: '6.1.1-lean-00112233', fragments: ['base'] })
  expect((await store.read(bundle.manifest.layers[0]!.digest)).toString()).toBe('a kernel')
})

test('with the probes of the fragment misses it watches for them', async () => {
  expect(namesOf(await weave({}, ['base', 'misses']))).toContain('misses')
})

test('it is entered by kexec unless it is built for hardware, or the blueprint says otherwise', async () => {
  const kexecOf = async (kernel: Readonly<Record<string, unknown>>) =>
    (await weave(kernel, ['base'])).config.kernel.kexec
  expect(await kexecOf({})).toBe(true)
  expect(await kexecOf({ kexec: false })).toBe(false)
  expect(await kexecOf({ hardware: ['8086:1533'] })).toBeUndefined()
})
