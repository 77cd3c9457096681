import { access, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { applyBlueprint } from '../../src/change/applied.ts'
import { type Context, openContext } from '../../src/change/context.ts'
import { takeRoad } from '../../src/change/pipeline/road.ts'
import { composeBlueprint } from '../../src/change/weave.ts'
import { silent } from '../../src/config/log.ts'
import { settingsSchema } from '../../src/config/settings.ts'
import { contentOf } from '../../src/fleet/stale.ts'
import type { ComponentRef } from '../../src/repository/component.ts'
import { getBlueprint } from '../../src/state/blueprints.ts'
import { listChanges } from '../../src/state/changes.ts'
import { channelPointers } from '../../src/state/channels.ts'
import { getMeasure } from '../../src/state/measures.ts'
import { listSightings } from '../../src/state/nodes.ts'
import type { Digest } from '../../src/store/digest.ts'
import { bootParts } from '../boot/machine.ts'
import { componentOf } from '../compose/stack.ts'
import { smallBlueprint, workOf } from './small-blueprint.ts'

const asRoot = process.getuid?.() === 0
const name = 'shop'

/** `npm run prove:verify` shows the same of Apache, and of every way in which a bundle is broken. */
describe.skipIf(!asRoot)('a bundle that is to be verified (skipped without root: it makes network namespaces)', () => {
  let directory: string
  let context: Context

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'v-'))
    context = await openContext(settingsSchema.parse({ state: directory }), silent)
    await smallBlueprint(context, name, { policy: 'verify: { ram: 256 }', kernel: await realKernel(context) })
  }, 60_000)
  afterAll(async () => {
    await context.close()
    await rm(directory, { recursive: true, force: true })
  })

  const take = async () => {
    const [change] = await listChanges(context.state.redis)
    await takeRoad({ change: change!.id, blueprint: name }, workOf(context))
    return (await listChanges(context.state.redis))[0]!.parts[0]!
  }
  const compose = () => composeBlueprint(name, { level: 'fast', reason: 'test' }, workOf(context))
  const pointers = () => channelPointers(context.state.redis, name)

  it('boots in a virtual machine of its own network, is asked there, and promoted with what it showed', async () => {
    const { digest } = await compose()
    expect(await pointers()).toEqual({ candidate: digest })
    const part = await take()
    expect(part).toMatchObject({ state: 'promoted', verified: { by: 'qemu 256 MiB', findings: [] } })
    expect(await pointers()).toEqual({ candidate: digest, stable: digest })
    const measure = await getMeasure(context.state.redis, await contentOf(context.store, digest))
    expect(measure!.answers).toMatchObject([
      { step: 'GET /index.html on port 8099', answer: { text: 'first of shop' } },
    ])
    expect(measure!.boot).toBeGreaterThan(500)
    expect(measure!.memory).toBeGreaterThan(5e6)
    // Nothing of it is left, and nothing of it was taken for the fleet's.
    expect(
      (await readdir('/run/netns').catch(() => [])).filter((found) => found.startsWith('bootloom-verify')),
    ).toEqual([])
    await expect(access(join(directory, 'verify'))).rejects.toMatchObject({ code: 'ENOENT' })
    expect((await listSightings(context.state.redis)).size).toBe(0)
  }, 90_000)

  it('is held when its kernel panics: stable stays, and candidate is what it was', async () => {
    const before = await pointers()
    const { yaml } = (await getBlueprint(context.state.redis, name))!
    const broken = `${yaml}\nkernel: { cmdline: rdinit=/nonexistent }`
    await applyBlueprint(context, { yaml: broken, directory })
    // Replaying it says nothing of its kernel.
    const { digest, replay } = await compose()
    expect(replay?.verdict.holds).toBe(true)
    expect((await pointers()).candidate).toBe(digest)
    const part = await take()
    expect(part).toMatchObject({ state: 'held', error: { code: 'VERIFY_FAILED' } })
    expect(part.why).toContain('Kernel panic')
    expect(await pointers()).toEqual(before)
    await applyBlueprint(context, { yaml, directory })
  }, 90_000)
})

/** Debian's cloud kernel with the modules of a virtio network card, as `kernelComponent` would read it. */
async function realKernel({ store }: Context): Promise<ComponentRef> {
  const { kernel, modules } = await bootParts(store)
  const place = `/usr/lib/modules/${kernel.name}`
  const short = (path: string) => path.split(`/modules/${kernel.name}/`)[1]!
  const image = (await store.readJson<{ entries: { path: string; digest: Digest }[] }>(kernel.digest)).entries[0]!
  const files = await Promise.all(
    modules.map(async ({ path, digest }) => [`${place}/${short(path)}`, await store.read(digest)]),
  )
  // Each may need all that stand before it; modules.dep names what must come first last.
  const lines = modules.map(({ path }, index) =>
    [
      `${short(path)}:`,
      ...modules
        .slice(0, index)
        .reverse()
        .map((one) => short(one.path)),
    ].join(' '),
  )
  return componentOf(store, 'kernel', kernel.name, '6.1', {
    [`/boot/vmlinuz-${kernel.name}`]: await store.read(image.digest),
    [`${place}/modules.dep`]: `${lines.join('\n')}\n`,
    ...(Object.fromEntries(files) as Record<string, Buffer>),
  })
}
