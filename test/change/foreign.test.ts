import { createHash } from 'node:crypto'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { applyBlueprint } from '../../src/change/applied.ts'
import { type Context, openContext } from '../../src/change/context.ts'
import { perform } from '../../src/change/jobs.ts'
import type { ComposeReport } from '../../src/change/report.ts'
import type { BundleManifest } from '../../src/compose/bundle-format.ts'
import { silent } from '../../src/config/log.ts'
import type { Progress } from '../../src/config/progress.ts'
import { settingsSchema } from '../../src/config/settings.ts'
import { getChannels } from '../../src/state/channels.ts'

/** Kernels and initrds that somebody else made, from files and from a real HTTP server. */
let context: Context
let directory: string
let mirror: Server
let url: string
const linux = Buffer.from('a kernel of theirs')
const initrd = Buffer.alloc(200_001, 7)
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
let asked: string[] = []

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'foreign-'))
  context = await openContext(settingsSchema.parse({ state: directory }), silent)
  await writeFile(join(directory, 'linux'), linux)
  mirror = createServer((request, answer) => {
    asked.push(request.url!)
    if (request.url === '/initrd.gz') return answer.end(initrd)
    if (request.url === '/moved') return answer.writeHead(302, { location: '/initrd.gz' }).end()
    if (request.url === '/huge') return answer.writeHead(200, { 'content-length': 5 * 1024 ** 3 }).write('x')
    if (request.url === '/empty') return answer.end()
    if (request.url === '/short') {
      answer.writeHead(200, { 'content-length': 100 }).write('x', () => answer.destroy())
      return
    }
    answer.writeHead(404).end()
  })
  await new Promise<void>((resolve) => mirror.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(mirror.address() as AddressInfo).port}`
})
afterAll(async () => {
  mirror.closeAllConnections()
  mirror.close()
  await context.close()
  await rm(directory, { recursive: true, force: true })
})

const told: Progress[] = []
const apply = (yaml: string) => applyBlueprint(context, { yaml, directory, file: 'x.yaml' })
async function compose(yaml: string): Promise<ComposeReport> {
  const { name } = await apply(yaml)
  const signal = new AbortController().signal
  return (await perform(
    context,
    { kind: 'compose', blueprint: name },
    (event) => told.push(event),
    signal,
  )) as ComposeReport
}
const blueprint = (kernel: string, initrds = '', cmdline = 'quiet') =>
  `name: di\nforeign: { kernel: ${kernel}, initrds: [${initrds}], cmdline: "${cmdline}" }\n`

test('a path and a URL become a bundle on both channels, the same each time, with progress', async () => {
  const yaml = blueprint('./linux', `{ from: "${url}/initrd.gz", sha256: ${sha256(initrd)} }, "${url}/moved"`)
  const first = await compose(yaml)
  expect(first).toMatchObject({ level: 'foreign', totals: { kernel: linux.length, size: 2 * initrd.length + 3 } })
  expect(told.some(({ step, detail }) => step === 'fetch' && detail === `${url}/initrd.gz`)).toBe(true)
  const channels = await getChannels(context.state.redis, 'di')
  expect([channels.stable?.digest, channels.candidate?.digest]).toEqual([first.digest, first.digest])
  const manifest = await context.store.readJson<BundleManifest>(first.digest)
  expect((await context.store.readVerified(manifest.layers[0]!.digest)).equals(linux)).toBe(true)
  asked = []
  expect((await compose(yaml)).digest).toBe(first.digest)
  // What is named by its digest and known is not fetched again.
  expect(asked).toEqual(['/moved', '/initrd.gz'])
})

test.each([
  ['another file than the one named', `{ from: ./linux, sha256: ${'f'.repeat(64)} }`, 'FOREIGN_DIGEST'],
  ['no such file', './absent', 'FOREIGN_FETCH_FAILED'],
  ['a directory', '/etc', 'FOREIGN_FETCH_FAILED'],
  ['a 404', '"URL/absent"', 'FOREIGN_FETCH_FAILED'],
  ['nothing at all', '"URL/empty"', 'FOREIGN_FETCH_FAILED'],
  ['more than the limit', '"URL/huge"', 'FOREIGN_FETCH_FAILED'],
  ['a connection that breaks', '"URL/short"', 'FOREIGN_FETCH_FAILED'],
  ['another protocol', 'ftp://127.0.0.1/linux', 'FOREIGN_FETCH_FAILED'],
])('%s is refused with its code, the channel stays, nothing half-written is left', async (_name, kernel, code) => {
  const before = await getChannels(context.state.redis, 'di')
  await expect(compose(blueprint(kernel.replace('URL', url)))).rejects.toMatchObject({ code })
  expect(await getChannels(context.state.redis, 'di')).toEqual(before)
  expect(await readdir(join(context.store.directory, 'incoming'))).toEqual([])
})

describe('the blueprint', () => {
  test('a place in the command line that does not exist is refused where it stands', async () => {
    await expect(apply(blueprint('./linux', '', 'ip={{address}}'))).rejects.toMatchObject({
      code: 'BLUEPRINT_INVALID',
      details: [
        expect.stringContaining('x.yaml:2 foreign.cmdline: knows {{mac}}, {{server}}, {{hostname}} and no other'),
      ],
    })
  })

  test('it has no stack, and cannot be observed', async () => {
    await expect(apply(`${blueprint('./linux')}stack: []\n`)).rejects.toMatchObject({ code: 'BLUEPRINT_INVALID' })
    await apply(blueprint('./linux'))
    const job = perform(context, { kind: 'observe', blueprint: 'di' }, () => {}, new AbortController().signal)
    await expect(job).rejects.toMatchObject({ code: 'BLUEPRINT_FOREIGN' })
  })
})
