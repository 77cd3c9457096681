import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Profile } from '../../src/blueprint/profile.ts'
import { applyBlueprint } from '../../src/change/applied.ts'
import { type Context, openContext } from '../../src/change/context.ts'
import { observeBlueprint } from '../../src/change/observe.ts'
import { updateBlueprintStack } from '../../src/change/update.ts'
import { composeBlueprint } from '../../src/change/weave.ts'
import { Workshop } from '../../src/change/workshop.ts'
import type { BootloomError } from '../../src/config/errors.ts'
import { silent } from '../../src/config/log.ts'
import { settingsSchema } from '../../src/config/settings.ts'
import { getBlueprint, updateBlueprint } from '../../src/state/blueprints.ts'
import { getChannels } from '../../src/state/channels.ts'
import { keys } from '../../src/state/keys.ts'
import { getVerdict } from '../../src/state/replays.ts'

const templates = join(import.meta.dirname, '../../templates/blueprints')
const asRoot = process.getuid?.() === 0

/** On real packages of the machine's mirror: each stack is resolved, installed, observed and woven. */
describe.skipIf(!asRoot)('weaving (skipped without root: it installs and observes)', { timeout: 300_000 }, () => {
  let first: string
  let second: string
  let here: Context
  let there: Context

  beforeAll(async () => {
    first = await mkdtemp(join(tmpdir(), 'w-'))
    second = await mkdtemp(join(tmpdir(), 'w-'))
    // A disk of its own, so that it can be full.
    await execa('mount', ['-t', 'tmpfs', '-o', 'size=1500m', 'tmpfs', second])
    here = await openContext(settingsSchema.parse({ state: first }), silent)
    there = await openContext(settingsSchema.parse({ state: second }), silent)
  })
  afterAll(async () => {
    await here?.close()
    await there?.close()
    await execa('umount', ['--lazy', second])
    for (const directory of [first, second]) await rm(directory, { recursive: true, force: true })
  })

  const work = (context: Context) => ({ context, progress: () => {}, signal: new AbortController().signal })
  const apply = async (context: Context, edit = (yaml: string) => yaml) =>
    applyBlueprint(context, { yaml: edit(await readFile(join(templates, 'redis.yaml'), 'utf8')), directory: templates })
  const withoutSecurity = (yaml: string) =>
    yaml.replace('suite: bookworm,', 'suite: bookworm, security: false, updates: false,')

  it('weaves anew only what a newer package version changed, and says which versions moved', async () => {
    await apply(here, withoutSecurity)
    await observeBlueprint('redis', {}, work(here))
    const old = await composeBlueprint('redis', { level: 'fast', reason: 'test' }, work(here))

    await apply(here)
    const update = await updateBlueprintStack('redis', work(here))
    expect(update.verdict).toBe('woven')
    const moved = update.changed.map(({ name }) => name)
    expect(moved).toEqual(expect.arrayContaining(['redis-server', 'redis-tools', 'libssl3']))

    const fresh = await composeBlueprint('redis', { level: 'fast', reason: 'test' }, work(here))
    const same = fresh.rows
      .filter((row) => old.rows.some(({ digest }) => digest === row.digest))
      .map(({ name }) => name)
    expect(same).toEqual(expect.arrayContaining(['base', 'libgcc-s1', 'libzstd1', 'application']))
    expect(same).not.toContain('redis-tools')
    expect(await updateBlueprintStack('redis', work(here))).toMatchObject({ verdict: 'unchanged', changed: [] })
  })

  it('gives the same digests on another state directory, from resolving to weaving', async () => {
    const ours = await composeBlueprint('redis', { level: 'fast', reason: 'test' }, work(here))
    await apply(there)
    const observed = await observeBlueprint('redis', {}, work(there))
    const theirs = await composeBlueprint('redis', { level: 'fast', reason: 'test' }, work(there))
    expect(theirs.rows).toEqual(ours.rows.map((row) => ({ ...row, reused: false })))
    expect(theirs.digest).toBe(ours.digest)
    expect(observed.paths).toBeGreaterThan(20)
  })

  it('leaves nothing half-written when the disk is full while composing, and goes on when there is room', async () => {
    const before = await composeBlueprint('redis', { level: 'fast', reason: 'test' }, work(there))
    await forgetSegments(
      there,
      before.rows.map(({ digest }) => digest),
    )
    const filler = join(second, 'filler')
    await execa('dd', ['if=/dev/zero', `of=${filler}`, 'bs=1M'], { reject: false })
    const workshop = new Workshop(there.settings, silent)
    const failing = workshop.run({ kind: 'compose', blueprint: 'redis' })
    await expect(failing).rejects.toMatchObject({ code: 'DISK_FULL' })
    await workshop.close()
    expect(await readdir(join(second, 'store', 'incoming'))).toEqual([])
    expect((await getChannels(there.state.redis, 'redis')).stable?.digest).toBe(before.digest)
    await rm(filler)
    expect((await composeBlueprint('redis', { level: 'fast', reason: 'test' }, work(there))).digest).toBe(before.digest)
  })

  it('takes a workshop that is killed while composing as a failed job, and the next job finishes the same bundle', async () => {
    const { digest, rows } = await composeBlueprint('redis', { reason: 'test' }, work(here))
    await forgetSegments(
      here,
      rows.map((row) => row.digest),
    )
    const workshop = new Workshop(here.settings, silent)
    try {
      let killed = false
      const job = { kind: 'compose', blueprint: 'redis' } as const
      const failing = workshop.run(job, ({ step, fraction = 0 }) => {
        if (killed || step !== 'weave thorough' || fraction === 0) return
        killed = true
        process.kill(workshop.pid!, 'SIGKILL')
      })
      await expect(failing).rejects.toMatchObject({ message: expect.stringContaining('SIGKILL') })
      expect((await workshop.run(job)).digest).toBe(digest)
      expect((await getChannels(here.state.redis, 'redis')).stable?.digest).toBe(digest)
    } finally {
      await workshop.close()
    }
  })

  it('holds the channels while the bundle lacks what the application asks for, and mends it when it may', async () => {
    const options = { level: 'fast', reason: 'test' } as const
    await apply(here, (yaml) =>
      yaml.replace('/usr/bin/redis-server,', '/usr/bin/redis-server, /etc/redis/redis.conf, --daemonize, "no",'),
    )
    await observeBlueprint('redis', {}, work(here))
    const good = await composeBlueprint('redis', options, work(here))
    expect(good.replay?.verdict).toMatchObject({ holds: true, lacking: [], differences: [] })

    await miss(here, '/etc/redis/redis.conf')
    const failing = await composeBlueprint('redis', options, work(here)).catch((error: BootloomError) => error)
    expect(failing).toMatchObject({ code: 'REPLAY_FAILED', where: 'redis' })
    expect((failing as BootloomError).details[0]).toMatch(
      /^lacks \/etc\/redis\/redis\.conf of configuration \S+ \(open\w* by \/usr\/bin\/redis-server\)$/,
    )
    const stable = async () => (await getChannels(here.state.redis, 'redis')).stable?.digest
    expect(await stable()).toBe(good.digest)

    const mended = await composeBlueprint('redis', { ...options, rounds: 2 }, work(here))
    expect(mended.replay?.rounds.map(({ verdict }) => verdict.holds)).toEqual([false, true])
    expect(await stable()).toBe(mended.digest)
    expect(await getBlueprint(here.state.redis, 'redis')).toMatchObject({
      widened: [{ path: '/etc/redis/redis.conf', by: 'replay' }],
    })
    expect(await getVerdict(here.state.redis, mended.digest)).toMatchObject({ holds: true })
  })
})

/** As if the watched run had not seen a path. */
async function miss({ store, state }: Context, path: string): Promise<void> {
  const record = await getBlueprint(state.redis, 'redis')
  const profile = await store.readJson<Profile>(record!.profileDigest!)
  const paths = profile.paths.filter((touched) => touched.path !== path)
  expect(paths.length).toBe(profile.paths.length - 1)
  const profileDigest = await store.writeJson({ ...profile, paths })
  await updateBlueprint(state.redis, 'redis', (current) => ({ ...current!, profileDigest }))
}

/** As if nothing had ever been woven. */
async function forgetSegments(context: Context, digests: Parameters<Context['store']['path']>[0][]): Promise<void> {
  await context.state.redis.del(keys.segments())
  for (const digest of digests) await rm(context.store.path(digest), { force: true })
}
