import { existsSync, globSync, readFileSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { BundleConfig, BundleManifest } from '../../src/compose/bundle-format.ts'
import { listLearned } from '../../src/state/learned.ts'
import { updateNode } from '../../src/state/nodes.ts'
import { type Digest, digestOf } from '../../src/store/digest.ts'
import { type Fixture, mac, putBundle, startFixture } from './fixture.ts'

const files = [
  '/bin/busybox',
  '/etc/passwd',
  '/srv/page',
  '/srv/a\nname',
  '/srv/unread',
  '/srv/listed/one',
  '/srv/target',
]
const stack = [...files, '/srv', '/srv/listed', '/srv/link', '/var/lib']
let fixture: Fixture
let full: Digest
let boot: string

beforeAll(async () => {
  fixture = await startFixture()
  const { store } = fixture
  const manifest = await store.readJson<BundleManifest>(await putBundle(store))
  const config = await store.readJson<BundleConfig>(manifest.config.digest)
  const bytes = Buffer.from(JSON.stringify({ ...config, learns: await store.writeJson(stack) }))
  full = await store.writeJson({
    ...manifest,
    config: { ...manifest.config, digest: await store.write(bytes), size: bytes.length },
  })
  await learn(true)
  fixture.boots.discover(mac, 'ipxe')
  const script = await (await fixture.get(`/ipxe?mac=${mac}`)).text()
  expect(script).toContain(`/bundle/${full}/`)
  boot = /bootloom\.boot=([0-9a-f]+)/.exec(script)![1]!
})
afterAll(() => fixture.close())

async function learn(wanted: boolean): Promise<void> {
  const learning = { blueprint: 'shop', bundle: full, stack: digestOf('stack'), since: 1 }
  await updateNode(fixture.state.redis, mac, () => ({ mac, groups: [], ...(wanted ? { learning } : {}) }))
}

const tell = (body: string | Uint8Array<ArrayBuffer>, of = boot) =>
  fetch(`${fixture.server.url}/learned?mac=${mac}&boot=${of}`, { method: 'POST', body })
const learned = () => listLearned(fixture.state.redis, mac)

describe('what a node that learns tells', () => {
  it('is kept where it is of the stack, and who touched a path first stays', async () => {
    await tell('open\t/usr/bin/shop\t/srv/page\nopen,read\t\t/srv/a%0Aname\n')
    await tell('open\t/usr/bin/late\t/srv/page\nexec\t\t/srv/page\n')
    expect((await learned()).sort((a, b) => (a.path + a.how < b.path + b.how ? -1 : 1))).toEqual([
      { path: '/srv/a\nname', how: 'open', process: '' },
      { path: '/srv/a\nname', how: 'read', process: '' },
      { path: '/srv/page', how: 'exec', process: '' },
      { path: '/srv/page', how: 'open', process: '/usr/bin/shop' },
    ])
  })

  it('is dropped where it is no path of the stack, no known way or no line, whatever the bytes are', async () => {
    const before = await learned()
    const lines = [
      'open\t\t/etc/invented',
      'open\t\tsrv/unread',
      'unlink\t\t/srv/unread',
      'open\t/srv/unread',
      'open\t\t/srv/unread\tmore',
      'open\trelative\t/srv/unread',
      '__proto__\t\t/srv/unread',
      `open\t\t/${'x'.repeat(20_000)}`,
    ]
    expect((await tell(lines.join('\n'))).status).toBe(200)
    expect((await tell(new Uint8Array([0, 255, 10, 9, 9, 10, 37, 48]))).status).toBe(200)
    expect(await learned()).toEqual(before)
    expect((await tell('x'.repeat(70_000))).status).toBe(413)
  })

  it('is taken while the node jumps into its next boot, and not once that runs', async () => {
    await fixture.boots.report(mac, boot, { stage: 'ready' })
    const next = await (await fixture.get(`/kexec?mac=${mac}&boot=${boot}`)).text()
    const jump = /^boot=(.*)$/m.exec(next)![1]!
    expect(jump).not.toBe(boot)
    await fixture.boots.flush()
    expect((await tell('open\t\t/srv/listed/one')).status).toBe(200)
    expect((await learned()).map(({ path }) => path)).toContain('/srv/listed/one')
    await fixture.boots.report(mac, jump, { stage: 'init' })
    await fixture.boots.flush()
    expect((await tell('open\t\t/srv/link')).status).toBe(403)
    expect((await learned()).map(({ path }) => path)).not.toContain('/srv/link')
    boot = jump
  })

  it('is refused from another boot, and gone once nobody learns', async () => {
    expect((await tell('open\t\t/srv/unread', 'f'.repeat(24))).status).toBe(403)
    await learn(false)
    expect((await tell('open\t\t/srv/unread')).status).toBe(410)
    await learn(true)
    expect((await learned()).map(({ path }) => path)).not.toContain('/srv/unread')
  })
})

describe.skipIf(process.getuid?.() !== 0)('the program on the node (skipped without root: it uses fanotify)', () => {
  let root: string

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'bootloom-learn-'))
    await execa('mount', ['-t', 'tmpfs', 'tmpfs', root])
    for (const directory of ['bin', 'etc', 'srv/listed', 'var/lib', '.bootloom']) {
      await mkdir(join(root, directory), { recursive: true })
    }
    await copyFile('/bin/busybox', join(root, 'bin/busybox'))
    await copyFile('/bin/busybox', join(root, '.bootloom/busybox'))
    for (const path of files) if (!existsSync(join(root, path))) await writeFile(join(root, path), 'x')
    // As the kernel unpacks: both times are the same, and past.
    for (const path of [...files, '/srv', '/srv/listed', '/var/lib']) await utimes(join(root, path), 1000, 1000)
    await symlink('target', join(root, 'srv/link'))
    await execa('touch', ['-h', '-d', '@1000', join(root, 'srv/link')])
  })
  afterAll(async () => {
    for (const pid of running()) process.kill(pid, 'SIGKILL')
    await execa('umount', ['--lazy', root])
    await rm(root, { recursive: true })
  })

  const running = () =>
    globSync('/proc/[0-9]*/cmdline').flatMap((path) => {
      const [program, below] = read(path).split('\0')
      return program?.endsWith('/learn') && below === root ? [Number(path.split('/')[2])] : []
    })
  const read = (path: string) => {
    try {
      return readFileSync(path, 'utf8')
    } catch {
      return ''
    }
  }
  const inside = (...words: string[]) => execa('chroot', [root, ...words])

  it('sees what is opened, executed, listed, walked and written to, and ends when nobody learns any more', async () => {
    const program = new URL('../../build/native/learn', import.meta.url).pathname
    await fixture.state.redis.del(`bootloom:learned:${mac}`)
    // It goes on in the background, as on the node: nothing of ours may wait for its output.
    await execa(program, [root, fixture.server.url, mac, boot], { stdio: 'ignore' })
    // For as long as it can be looked at who it was.
    const init = inside('/.bootloom/busybox', 'sh', '-c', 'exec 3</etc/passwd; /bin/busybox sleep 2; :')
    await inside('/bin/busybox', 'cat', '/srv/page', '/srv/a\nname', '/srv/link')
    await inside('/bin/busybox', 'ls', '/srv/listed')
    await inside('/bin/busybox', 'touch', '/var/lib/made')
    const wanted = {
      '/bin/busybox': ['exec'],
      '/srv/page': ['open'],
      '/srv/a\nname': ['open'],
      '/srv/target': ['open'],
      '/srv/link': ['read'],
      '/srv/listed': ['readdir'],
      '/var/lib': ['create'],
    }
    let found: Record<string, string[]> = {}
    for (let waited = 0; waited < 8000 && !Object.keys(wanted).every((path) => path in found); waited += 200) {
      await sleep(200)
      found = {}
      for (const { path, how } of await learned()) found[path] = [...(found[path] ?? []), how]
    }
    for (const [path, ways] of Object.entries(wanted)) expect(found[path]).toEqual(expect.arrayContaining(ways))
    expect(found).not.toHaveProperty('/srv/unread')
    // What init's own tools open, the application did not.
    await init
    expect(found['/etc/passwd'] ?? []).not.toContain('open')
    expect((await learned()).find(({ path }) => path === '/srv/page')?.process).toMatch(/^(\/bin\/busybox)?$/)
    await learn(false)
    await inside('/bin/busybox', 'cat', '/srv/unread')
    for (let waited = 0; waited < 8000 && running().length > 0; waited += 200) await sleep(200)
    expect(running()).toEqual([])
  }, 20_000)
})
