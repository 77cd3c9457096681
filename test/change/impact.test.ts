import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Context, openContext } from '../../src/change/context.ts'
import { indexPath } from '../../src/change/impact/file-index.ts'
import { impactOf } from '../../src/change/impact/impact.ts'
import { type ImpactJob, impactWork, performImpact } from '../../src/change/impact/jobs.ts'
import type { ImpactQuestion, ImpactReport } from '../../src/change/impact/report.ts'
import { silent } from '../../src/config/log.ts'
import { settingsSchema } from '../../src/config/settings.ts'
import { keys } from '../../src/state/keys.ts'
import { putPin } from '../../src/state/pins.ts'
import { type Digest, digestOf } from '../../src/store/digest.ts'
import { publishBundle, putComponent } from './impact-stacks.ts'

/** Five blueprints on a real store and Redis: two use the library, one only has it, one lacks it, one has its certificates. */
let context: Context
let directory: string
let bundles: Record<string, Digest>
const jobs: string[] = []
const library = {
  '/usr/lib/x86_64-linux-gnu/libssl.so.3': 'ssl 20',
  '/usr/lib/x86_64-linux-gnu/libcrypto.so.3': 'crypto',
}
const readme = '/usr/share/doc/libssl3/changelog'
const openssl = (version: string) => ({ source: { name: 'openssl', version } })

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'impact-'))
  context = await openContext(
    settingsSchema.parse({
      state: directory,
      security: { tracker: join(directory, 'tracker.json'), osv: join(directory, 'osv') },
    }),
    silent,
  )
  const { state } = context
  const old = await putComponent(context, 'libssl3', '3.0.20-1', { ...library, [readme]: '20' }, openssl('3.0.20-1'))
  await putComponent(
    context,
    'libssl3',
    '3.0.22-1',
    { ...library, '/usr/lib/x86_64-linux-gnu/libssl.so.3': 'ssl 22', [readme]: '22' },
    openssl('3.0.22-1'),
  )
  await putComponent(
    context,
    'libssl3',
    '3.0.21-1',
    { ...library, [readme]: '21', '/etc/ssl/new.cnf': 'x' },
    openssl('3.0.21-1'),
  )
  const app = await putComponent(context, 'app', '1', { '/app': 'app' })
  const certificates = await putComponent(context, 'ca-certificates', '2023', {
    '/usr/share/ca-certificates/a.crt': 'a',
  })
  await putComponent(context, 'ca-certificates', '2026', {
    '/usr/share/ca-certificates/a.crt': 'a',
    '/usr/share/ca-certificates/b.crt': 'b',
  })
  await putComponent(context, 'ca-certificates', '2027', { '/usr/share/ca-certificates/a.crt': 'renewed' })
  const made = { '/etc/ssl/certs/ca-certificates.crt': 'a made', '/etc/app.conf': 'a' }
  const configuration = await putComponent(context, 'configuration', '1', made, { kind: 'configuration' })
  const ssl = Object.keys(library)
  bundles = {
    web: await publishBundle(context, 'web', [app, old], ['/app', ...ssl]),
    proxy: await publishBundle(context, 'proxy', [app, old], ['/app', ssl[0]!]),
    crypto: await publishBundle(context, 'crypto', [app, old], ['/app', ssl[1]!], { more: 'keep: [/etc/ssl/**]\n' }),
    batch: await publishBundle(context, 'batch', [app, old], ['/app']),
    plain: await publishBundle(
      context,
      'plain',
      [app, certificates, configuration],
      ['/app', '/etc/ssl/certs/ca-certificates.crt'],
    ),
  }
  for (const [mac, blueprint] of Object.entries({
    '52:54:00:00:00:01': 'web',
    '52:54:00:00:00:02': 'web',
    '52:54:00:00:00:03': 'batch',
  })) {
    const run = { blueprint, bundle: bundles[blueprint], boot: 'b', at: 1 }
    await state.redis.hset(keys.runs(), mac, JSON.stringify(run))
  }
  const at = Date.now() - 3 * 86_400_000
  await putPin(state.redis, {
    blueprint: 'proxy',
    package: 'libssl3',
    version: '3.0.20-1',
    reason: 'T-1',
    at,
    until: Date.now() + 1e9,
  })
})
afterAll(async () => {
  await context.close()
  await rm(directory, { recursive: true, force: true })
})

/** In this process, as the workshop does it in its own. */
const work = impactWork(async (job: ImpactJob) => {
  jobs.push(job.kind)
  return (await performImpact(job, { context, progress: () => {}, signal: new AbortController().signal })) as never
})
const ask = (question: ImpactQuestion): Promise<ImpactReport> => impactOf(question, context, work)
const verdicts = (report: ImpactReport, component?: string) =>
  Object.fromEntries(
    report.rows
      .filter((row) => component === undefined || row.component?.name === component)
      .map(({ blueprint, verdict }) => [blueprint, verdict]),
  )
const absent = 'not affected: not in the bundle'
const same = 'not affected: no selected file differs'

describe('an update', () => {
  test('matters to those alone who keep a file that differs; the others are told why not', async () => {
    const report = await ask({ package: 'libssl3=3.0.22-1' })
    expect(verdicts(report)).toEqual({ web: 'affected', proxy: 'affected', crypto: same, batch: absent, plain: absent })
    const web = report.rows.find(({ blueprint }) => blueprint === 'web')!
    expect(web).toMatchObject({ channels: ['stable', 'candidate'], nodes: 2, kept: 2, bundles: [bundles.web] })
    expect(web.from?.version).toBe('3.0.20-1')
    expect(web.files).toEqual([
      {
        path: '/usr/lib/x86_64-linux-gnu/libssl.so.3',
        from: `file 644 0:0 ${digestOf('ssl 20')}`,
        to: `file 644 0:0 ${digestOf('ssl 22')}`,
      },
    ])
    expect(report.bundles.find(({ digest }) => digest === bundles.web)?.nodes).toHaveLength(2)
  })

  test('shows the pin of a blueprint that stays where it is', async () => {
    const { rows } = await ask({ package: 'libssl3=3.0.22-1' })
    expect(rows.filter(({ pin }) => pin).map(({ blueprint, pin }) => [blueprint, pin!.reason])).toEqual([
      ['proxy', 'T-1'],
    ])
  })

  test('that brings a file which a blueprint keeps by name is told by that file', async () => {
    const report = await ask({ package: 'libssl3=3.0.21-1' })
    expect(verdicts(report)).toMatchObject({ web: same, proxy: same, crypto: 'affected', batch: absent })
    expect(report.rows.find(({ blueprint }) => blueprint === 'crypto')!.files).toMatchObject([
      { path: '/etc/ssl/new.cnf', from: null },
    ])
  })

  test('matters through a file that installing it makes', async () => {
    const report = await ask({ package: 'ca-certificates=2027' })
    expect(verdicts(report)).toMatchObject({ plain: 'affected', web: absent })
    expect(report.rows.find(({ blueprint }) => blueprint === 'plain')!.files).toMatchObject([
      { path: '/usr/share/ca-certificates/a.crt', makes: '/etc/ssl/certs/ca-certificates.crt' },
    ])
    expect(verdicts(await ask({ package: 'ca-certificates=2026' }))).toMatchObject({ plain: 'affected' })
  })

  test.each(['libssl3=', '-o=1', 'libssl3=1 2', 'Lib'])('%j is no package', async (words) => {
    await expect(ask({ package: words })).rejects.toMatchObject({ code: 'USAGE' })
  })
})

describe('a path and a digest', () => {
  test('are found where they are kept, also by the path as a link has it', async () => {
    const report = await ask({ file: '/lib/x86_64-linux-gnu/libssl.so.3' })
    expect(verdicts(report)).toEqual({
      web: 'affected',
      proxy: 'affected',
      crypto: absent,
      batch: absent,
      plain: absent,
    })
    const digest = digestOf('crypto').slice('sha256:'.length, 'sha256:'.length + 12)
    expect(verdicts(await ask({ digest }))).toMatchObject({ web: 'affected', crypto: 'affected', proxy: absent })
  })
})

describe('a flaw', () => {
  const fixture = join(import.meta.dirname, 'security')
  const cves = (fixed: string, more = {}) => ({
    openssl: { 'CVE-2026-1000': { releases: { bookworm: { status: 'resolved', fixed_version: fixed } } }, ...more },
  })
  const setTracker = (value: unknown) =>
    writeFile(join(directory, 'tracker.json'), typeof value === 'string' ? value : JSON.stringify(value))
  beforeAll(async () => {
    await mkdir(join(directory, 'osv'))
    await writeFile(join(directory, 'osv', 'dsa.json'), await readFile(join(fixture, 'osv.json')))
    await setTracker(await readFile(join(fixture, 'tracker.json'), 'utf8'))
  })

  test('matters where a kept file differs in the version that mends it', async () => {
    const report = await ask({ cve: 'CVE-2026-1000' })
    expect(verdicts(report)).toEqual({ web: 'affected', proxy: 'affected', crypto: same, batch: absent, plain: absent })
    expect(report.offered).toMatchObject([{ name: 'libssl3', version: '3.0.22-1', fixes: ['CVE-2026-1000'] }])
    expect((await ask({ package: 'libssl3=3.0.22-1' })).offered[0]!.fixes).toContain('CVE-2026-1000')
  })

  test('that no version mends matters to all who keep a file of it', async () => {
    expect(verdicts(await ask({ cve: 'CVE-2026-1001' }))).toEqual({
      ...{ web: 'affected', proxy: 'affected', crypto: 'affected', batch: absent, plain: absent },
    })
  })

  test('that was mended before, and one known from OSV alone, are told as they are', async () => {
    const before = 'not affected: this version does not have the flaw'
    expect(verdicts(await ask({ cve: 'CVE-2025-0001' }))).toMatchObject({ web: before, batch: before, plain: absent })
    expect(verdicts(await ask({ cve: 'CVE-2026-2000' }))).toMatchObject({ web: 'affected', crypto: same })
  })

  test('is read anew when the file changes, and hostile records are passed over', async () => {
    await setTracker({
      ...cves('3.0.19-1', { 'CVE-2026-1002': { releases: 'bookworm' }, '../x': { releases: {} } }),
      __proto__: null,
      'no source': { 'CVE-2026-1003': { releases: { bookworm: { status: 'resolved', fixed_version: '1 2\n3' } } } },
      constructor: 7,
    })
    expect(verdicts(await ask({ cve: 'CVE-2026-1000' }))).toMatchObject({
      web: 'not affected: this version does not have the flaw',
    })
    for (const cve of ['CVE-2026-1002', 'CVE-2026-1003']) {
      await expect(ask({ cve })).rejects.toMatchObject({ code: 'CVE_UNKNOWN' })
    }
  })

  test.each([
    ['no JSON', '{"openssl":'],
    ['a list', '[1]'],
    ['a million brackets', '['.repeat(1_000_000)],
  ])('in data that are %s is an error that names the file; an update is answered all the same', async (_name, text) => {
    await setTracker(text)
    await expect(ask({ cve: 'CVE-2026-1000' })).rejects.toMatchObject({
      code: 'SECURITY_DATA',
      where: join(directory, 'tracker.json'),
    })
    expect(verdicts(await ask({ package: 'libssl3=3.0.22-1' }))).toMatchObject({ web: 'affected' })
  })
})

describe('the index', () => {
  test('takes in a new bundle by itself, reads only that one, and comes out the same made anew', async () => {
    await rm(join(directory, 'tracker.json'), { force: true })
    jobs.length = 0
    await ask({ package: 'libssl3=3.0.22-1' })
    expect(jobs).not.toContain('impact-index')
    const newer = await putComponent(
      context,
      'libssl3',
      '3.0.22-1',
      { ...library, '/usr/lib/x86_64-linux-gnu/libssl.so.3': 'ssl 22', [readme]: '22' },
      openssl('3.0.22-1'),
    )
    await publishBundle(context, 'web', [newer], Object.keys(library), { channels: ['candidate'] })
    const { rows } = await ask({ package: 'libssl3=3.0.22-1' })
    expect(jobs.filter((kind) => kind === 'impact-index')).toHaveLength(1)
    const web = rows.filter(({ blueprint }) => blueprint === 'web')
    expect(web.map(({ channels, verdict, nodes }) => [channels.join(), verdict, nodes]).sort()).toEqual([
      ['candidate', same, 0],
      ['stable', 'affected', 2],
    ])
    await rm(indexPath(directory))
    expect((await ask({ package: 'libssl3=3.0.22-1' })).rows.map(({ verdict }) => verdict).sort()).toEqual(
      rows.map(({ verdict }) => verdict).sort(),
    )
  })

  test('that is damaged is made anew', async () => {
    await writeFile(indexPath(directory), 'bootloom impact index 1\n00ffffffgarbage')
    expect(verdicts(await ask({ package: 'libssl3=3.0.22-1' }))).toMatchObject({ proxy: 'affected' })
  })
})
