import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
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
import { bootParts, powerOn, reportSink } from './machine.ts'

const mac = '52:54:00:aa:00:01'
let directory: string
let store: Store
let state: State
let sink: Awaited<ReturnType<typeof reportSink>>

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bootloom-services-'))
  store = await Store.open(join(directory, 'store'))
  state = await openState({ directory }, silent)
  sink = await reportSink()
})
afterAll(async () => {
  sink.close()
  await state.close()
  await rm(directory, { recursive: true, force: true })
})

const note = (text: string) => `/.bootloom/busybox sh -c "echo ${text} >>/run/web/journal"`

/** Three services: one that ends, one that goes into the background by itself, one that has a PID file. */
const units = {
  'first.service': `[Service]\nType=oneshot\nRuntimeDirectory=web\nRuntimeDirectoryMode=0777\nExecStart=${note('first')}\n`,
  'side.service': `[Service]\nType=forking\nPIDFile=/run/side/pid\nRuntimeDirectory=side
ExecStart=/.bootloom/busybox sh -c "/usr/bin/httpd -f -p 8081 -h /srv & echo $$! >/run/side/pid; echo side >>/run/web/journal"\n`,
  'web.service': `[Service]\nType=forking\nExecStartPre=-/.bootloom/busybox false\nExecStartPre=${note('web')}\nExecStart=/usr/bin/httpd -p 8080 -h /srv\n`,
}

test('several services come up in their order, and one that is killed comes up again', {
  timeout: 120_000,
}, async () => {
  const { kernel, busybox, modules } = await bootParts(store)
  const program = (await store.readJson<Component>(busybox.digest)).entries[0]!.digest!
  const tree = {
    '/usr/bin/httpd': await readFile(store.path(program)),
    '/etc/passwd': 'root:x:0:0::/:/bin/sh\nweb:x:33:33::/:/bin/sh\n',
    '/etc/group': 'root:x:0:\nweb:x:33:\n',
    '/srv/index.html': 'It works from RAM\n',
    '/srv/journal': { to: '/run/web/journal' },
    '/srv/cgi-bin/end': '#!/.bootloom/busybox sh\n/.bootloom/busybox killall -KILL httpd\n',
    ...Object.fromEntries(Object.entries(units).map(([name, text]) => [`/etc/systemd/system/${name}`, text])),
  }
  const components = [await componentOf(store, 'deb', 'httpd', '1', tree, { '/srv/cgi-bin/end': 0o755 })]
  const bundle = await compose(
    {
      blueprint: blueprintOf({
        start: undefined,
        services: [
          { name: 'web', after: ['side'] },
          { name: 'side', after: ['first'], probe: { http: '/', port: 8081 } },
          { name: 'first' },
        ],
        probe: { http: '/', port: 8080, expect: { contains: 'from RAM' } },
      }),
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
  const { parts } = initramfsParts(bundle.manifest)
  const overlay = renderOverlay({
    manifestDigest: bundle.digest,
    config: bundle.config,
    node: { mac },
    server: sink.url,
    bootId: 'b1',
    files: [],
  })
  const segments = await Promise.all(parts.map(({ descriptor }) => store.read(descriptor.digest)))
  const port = await freePort()
  const machine = await powerOn({
    directory,
    kernel: store.path(bundle.manifest.layers[0]!.digest),
    initramfs: Buffer.concat([...segments, overlay]),
    cmdline: `${bundle.config.cmdline} ${bootArguments({ server: sink.url, mac, boot: 'b1', bundle: bundle.digest, deadline: 600 })}`,
    mac,
    forward: port,
  })
  try {
    await sink.stage('ready', 60_000)
    expect(sink.reports.map(({ stage }) => stage)).toEqual(['init', 'network', 'app', 'ready'])
    const journal = async () => (await fetch(`http://127.0.0.1:${port}/journal`)).text()
    expect(await journal()).toBe('first\nside\nweb\n')
    await fetch(`http://127.0.0.1:${port}/cgi-bin/end`).catch(() => {})
    let after = ''
    for (let waited = 0; waited < 20_000 && !/web\n.*web\n/s.test(after); waited += 250) {
      await sleep(250)
      after = await journal().catch(() => '')
    }
    // Both were killed, and each keeps itself: no order is asked for any more.
    expect(after.split('\n').sort()).toEqual(['', 'first', 'side', 'side', 'web', 'web'])
  } finally {
    machine.process.kill('SIGKILL')
    if (process.env.CONSOLE) console.info(machine.console())
  }
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
