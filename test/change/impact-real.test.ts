import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Context, openContext } from '../../src/change/context.ts'
import { impactOf } from '../../src/change/impact/impact.ts'
import { type ImpactJob, impactWork, performImpact } from '../../src/change/impact/jobs.ts'
import { silent } from '../../src/config/log.ts'
import { settingsSchema } from '../../src/config/settings.ts'
import { pendingUpdates } from '../../src/repository/pending.ts'
import { publishBundle, putComponent } from './impact-stacks.ts'

/** The real libssl3 of bookworm against the newest that the machine's mirror offers. */
let context: Context
let directory: string
const old = '3.0.20-1~deb12u2'
const below = '/usr/lib/x86_64-linux-gnu'

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'impact-'))
  context = await openContext(settingsSchema.parse({ state: directory }), silent)
})
afterAll(async () => {
  await context.close()
  await rm(directory, { recursive: true, force: true })
})

test('a real libssl3 matters to the two that keep the library, and not to three that do not, each with its reason', async () => {
  const suites = { suite: 'bookworm', updates: true, security: true }
  const request = { suites, packages: { libssl3: '0' }, kernels: {}, wanted: ['libssl3'], version: old }
  const [found] = await pendingUpdates(request, context, () => {})
  const libssl = { kind: 'deb', name: 'libssl3', version: old, digest: found!.component! } as const
  const app = await putComponent(context, 'app', '1', { '/app': 'app' })
  await publishBundle(context, 'web', [app, libssl], ['/app', `${below}/libssl.so.3`, `${below}/libcrypto.so.3`])
  await publishBundle(context, 'database', [app, libssl], [`${below}/libcrypto.so.3`])
  await publishBundle(context, 'licences', [app, libssl], ['/usr/share/doc/libssl3/copyright'])
  await publishBundle(context, 'batch', [app, libssl], ['/app'])
  await publishBundle(context, 'plain', [app], ['/app'])
  const work = impactWork(
    async (job: ImpactJob) =>
      (await performImpact(job, { context, progress: () => {}, signal: new AbortController().signal })) as never,
  )
  // All that the mirror offers: the kernel and the busybox of every bundle, too.
  const all = await impactOf({}, context, work)
  expect(all.offered.map(({ kind }) => kind)).toEqual(['deb', 'deb', 'kernel'])
  expect(all.rows.filter(({ component }) => component?.kind === 'kernel').map(({ verdict }) => verdict)).toEqual(
    Array(5).fill('affected'),
  )
  const newest = await impactOf({ package: 'libssl3' }, context, work)
  expect(newest.offered).toMatchObject([{ name: 'libssl3', suites: ['bookworm-security'] }])
  const { version } = newest.offered[0]!
  const { rows } = await impactOf({ package: `libssl3=${version}` }, context, work)
  expect(Object.fromEntries(rows.map(({ blueprint, verdict }) => [blueprint, verdict]))).toEqual({
    web: 'affected',
    database: 'affected',
    licences: 'not affected: no selected file differs',
    batch: 'not affected: not in the bundle',
    plain: 'not affected: not in the bundle',
  })
  const web = rows.find(({ blueprint }) => blueprint === 'web')!
  expect(web.files.map(({ path }) => path)).toEqual([`${below}/libcrypto.so.3`, `${below}/libssl.so.3`])
  expect(web.files.every(({ from, to }) => from !== to && to?.includes('sha256:'))).toBe(true)
}, 120_000)
