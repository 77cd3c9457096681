import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { bootArguments } from '../../src/compose/boot-arguments.ts'
import { compose } from '../../src/compose/bundle.ts'
import { initramfsParts } from '../../src/compose/initramfs.ts'
import { renderOverlay } from '../../src/compose/overlay.ts'
import { silent } from '../../src/config/log.ts'
import type { Component } from '../../src/repository/component.ts'
import { openState, type State } from '../../src/state/redis.ts'
import { digestOf } from '../../src/store/digest.ts'
import { Store } from '../../src/store/store.ts'
import { blueprintOf, componentOf, selectionOf, stackOf } from '../compose/stack.ts'
import { bootParts, type Machine, powerOn, reportSink } from './machine.ts'

const mac = '52:54:00:aa:00:01'
let directory: string
let store: Store
let state: State
let sink: Awaited<ReturnType<typeof reportSink>>
let bundle: Awaited<ReturnType<typeof compose>>
let offsets: { offset: number; size: number; name: string }[]
let initramfs: Buffer
let weave: (more: Record<string, unknown>) => ReturnType<typeof compose>
const machines: Machine[] = []

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootloom-boot-'))
  store = await Store.open(join(directory, 'store'))
  state = await openState({ directory }, silent)
  const { kernel, busybox, modules: plain } = await bootParts(store, ['watchdog', 'softdog'])
  const modules = await Promise.all(plain.map(packed))
  const program = (await store.readJson<Component>(busybox.digest)).entries[0]!.digest!
  const application = await componentOf(store, 'deb', 'httpd', '1', {
    '/usr/bin/httpd': await readFile(store.path(program)),
    '/etc/passwd': 'root:x:0:0::/:/bin/sh\nweb:x:33:33::/:/bin/sh\n',
    '/etc/group': 'root:x:0:\nweb:x:33:\nlog:x:44:web\n',
    // As a script, so that what the application sees of the world can be asked for over HTTP.
    '/usr/bin/start':
      '#!/.bootloom/busybox sh\necho "starting $1"\n{ /.bootloom/bin/env; /.bootloom/busybox id; echo "in $(/.bootloom/busybox pwd)"; /.bootloom/busybox hostname; } >/run/web/facts\nexec /usr/bin/httpd -f -p 8080 -h /srv\n',
  })
  const site = await componentOf(store, 'tree', 'site', '1', {
    '/srv/index.html': 'It works from RAM\n',
    '/srv/facts': { to: '/run/web/facts' },
    "/srv/odd\nname '": 'x',
  })
  const components = [application, site]
  weave = async (more) => {
    return compose(
      {
        blueprint: blueprintOf(more),
        blueprintDigest: digestOf('blueprint'),
        stack: stackOf(components, kernel, busybox),
        stackDigest: digestOf('stack'),
        selection: await selectionOf(store, components),
        selectionDigest: digestOf('selection'),
        modules,
        level: 'fast',
        zstdLevel: 3,
        context: { store, state, log: silent },
      },
      () => {},
    )
  }
  bundle = await weave({
    start: {
      command: ['/usr/bin/start', `a 'b' "$(reboot -f)" \`c\`\nd`],
      user: 'web',
      directory: '/srv',
      environment: { HOSTILE: `'; reboot -f; '$(reboot -f)`, PATH: '/usr/bin' },
    },
    writable: [{ path: '/run/web', owner: 'web', mode: '0750' }],
    probe: { http: '/index.html', port: 8080, expect: { contains: 'works from RAM' } },
  })
  const { parts } = initramfsParts(bundle.manifest)
  offsets = parts.map(({ offset, descriptor }, i) => ({
    offset,
    size: descriptor.size,
    name: bundle.config.segments[i]!.name,
  }))
  initramfs = Buffer.concat(await Promise.all(parts.map(({ descriptor }) => store.read(descriptor.digest))))
}, 120_000)

/** What the watchdog needs comes as this kernel does not unpack it. */
async function packed(module: Awaited<ReturnType<typeof bootParts>>['modules'][number]) {
  if (!module.path.endsWith('/watchdog.ko')) return module
  const content = gzipSync(await store.read(module.digest))
  return { path: `${module.path}.gz`, digest: await store.write(content), size: content.length }
}

beforeAll(async () => {
  sink = await reportSink()
})

afterEach(() => {
  sink.reports.length = 0
  for (const { process, console } of machines.splice(0)) {
    process.kill('SIGKILL')
    if (globalThis.process.env.CONSOLE) globalThis.console.info(console())
  }
})

afterAll(async () => {
  sink.close()
  await state.close()
  await rm(directory, { recursive: true, force: true })
})

function overlay(of = bundle): Buffer {
  return renderOverlay({
    manifestDigest: of.digest,
    config: of.config,
    node: { mac, hostname: 'shop-1' },
    server: sink.url,
    bootId: 'b1',
    files: [{ path: '/srv/note.txt', content: 'from the overlay' }],
  })
}

async function boot(bytes: Buffer, forward?: number, of = bundle, deadline = 600): Promise<Machine> {
  const cmdline = `${bundle.config.cmdline} ${bootArguments({ server: sink.url, mac, boot: 'b1', bundle: of.digest, deadline })}`
  const kernel = store.path(bundle.manifest.layers[0]!.digest)
  const machine = await powerOn({ directory, kernel, initramfs: bytes, cmdline, mac, ...(forward ? { forward } : {}) })
  machines.push(machine)
  return machine
}

test('a whole bundle comes up, and its application runs as it was described', { timeout: 60_000 }, async () => {
  const port = await freePort()
  await boot(Buffer.concat([initramfs, overlay()]), port)
  const ready = await sink.stage('ready', 45_000)
  expect(sink.reports.map(({ stage }) => stage)).toEqual(['init', 'network', 'app', 'ready'])
  expect(Number(ready.query.get('memavailable'))).toBeGreaterThan(0)
  const text = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).text()
  expect(await text('/index.html')).toBe('It works from RAM\n')
  expect(await text('/note.txt')).toBe('from the overlay')
  const facts = await text('/facts')
  expect(facts).toContain(`HOSTILE='; reboot -f; '$(reboot -f)\n`)
  expect(facts).toContain('uid=33(web) gid=33(web) groups=33(web),44(log)')
  expect(facts).toContain('in /srv\nshop-1\n')
  expect(facts).not.toMatch(/bootloom\.|HOME=|TERM=/)
  console.info(sink.reports.map(({ stage, uptime }) => `${stage} ${uptime}`).join(', '))
})

test('a flipped bit in the middle of a segment is refused, reported, and the node boots anew', {
  timeout: 60_000,
}, async () => {
  const bytes = Buffer.concat([initramfs, overlay()])
  const segment = offsets.find(({ name }) => name === 'httpd')!
  bytes[segment.offset + (segment.size >> 1)]! ^= 0x10
  const machine = await boot(bytes)
  const failed = await sink.stage('failed', 45_000)
  expect(failed.body).toMatch(/^incomplete: the end marker is missing/)
  expect(sink.reports.map(({ stage }) => stage)).toEqual(['init', 'failed'])
  expect(await machine.ended).toBe(0)
})

test('an application that keeps ending is given up, with what it said last', { timeout: 90_000 }, async () => {
  const command = ['/.bootloom/bin/sh', '-c', 'echo "cannot find my configuration"; exit 3']
  const broken = await weave({ start: { command }, probe: { tcp: 8080 } })
  const { parts } = initramfsParts(broken.manifest)
  const bytes = await Promise.all(parts.map(({ descriptor }) => store.read(descriptor.digest)))
  await boot(Buffer.concat([...bytes, overlay(broken)]), undefined, broken)
  const failed = await sink.stage('failed', 80_000)
  expect(failed.body).toMatch(/^test ended 5 times, at last: ended with status 3\n\n/)
  expect(failed.body).toContain('cannot find my configuration\n')
})

test('a node whose application never answers boots anew at its deadline, and feeds its watchdog until then', {
  timeout: 60_000,
}, async () => {
  const command = ['/.bootloom/bin/sh', '-c', 'sleep 6; cat /sys/class/watchdog/watchdog0/state; sleep 3600']
  const hanging = await weave({
    start: { command, environment: { PATH: '/.bootloom/bin' } },
    probe: { tcp: 8080 },
  })
  const { parts } = initramfsParts(hanging.manifest)
  const bytes = await Promise.all(parts.map(({ descriptor }) => store.read(descriptor.digest)))
  const machine = await boot(Buffer.concat([...bytes, overlay(hanging)]), undefined, hanging, 10)
  const failed = await sink.stage('failed', 55_000)
  expect(failed.body).toMatch(/^not ready in time\n/)
  expect(await machine.ended).toBe(0)
  expect(machine.console()).toMatch(/^active\r?$/m)
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
