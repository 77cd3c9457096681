import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { paths } from '../../lab/place.ts'
import { compose } from '../../src/compose/bundle.ts'
import { silent } from '../../src/config/log.ts'
import type { Component } from '../../src/repository/component.ts'
import type { State } from '../../src/state/redis.ts'
import type { Digest } from '../../src/store/digest.ts'
import { Store } from '../../src/store/store.ts'
import { bootParts } from '../boot/machine.ts'
import { blueprintOf, componentOf, selectionOf, stackOf } from '../compose/stack.ts'
import type { Road } from './road.ts'

interface Options {
  readonly cmdline?: string
  readonly page?: string
  readonly meddle?: readonly string[]
}

/** Bytes that do not compress, the same each time. */
function noise(size: number, name: string): Buffer {
  const pieces = Array.from({ length: Math.ceil(size / 32) }, (_, i) =>
    createHash('sha256').update(`${name} ${i}`).digest(),
  )
  return Buffer.concat(pieces).subarray(0, size)
}

/**
 * Into a lab's store, busybox's web server as the blueprint `test`, with more words on the kernel command line; `meddle` are
 * commands of busybox that it runs on the node before it starts.
 */
export async function weaveHttpd(
  road: Road,
  state: State,
  { cmdline = '', page = 'It works\n', meddle = [] }: Options = {},
): Promise<Digest> {
  const store = await Store.open(join(paths.state(road.place), 'store'))
  const { kernel, busybox, modules } = await bootParts(store)
  const program = (await store.readJson<Component>(busybox.digest)).entries[0]!.digest!
  const server = await componentOf(store, 'deb', 'server', '1', { '/usr/bin/httpd': await store.read(program) })
  const application = await componentOf(store, 'deb', 'httpd', '1', {
    '/etc/passwd': 'root:x:0:0::/:/bin/sh\n',
    '/srv/index.html': page,
    '/srv/other.html': 'other\n',
    '/usr/bin/spare': 'spare\n',
  })
  // Random, so that it is not smaller on the wire than in the root.
  const library = await componentOf(store, 'deb', 'library', '1', { '/usr/lib/large': noise(200_000, 'large') })
  const others = await componentOf(store, 'deb', 'others', '1', { '/usr/lib/other': noise(100_000, 'other') })
  const components = [server, library, others, application]
  const words = [...meddle, 'exec /usr/bin/httpd -f -p 8080 -h /srv'].join('; ')
  const selection = await selectionOf(store, components)
  const stack = stackOf(components, kernel, busybox)
  const blueprint = blueprintOf({
    kernel: { cmdline },
    start: { command: ['/.bootloom/bin/sh', '-c', `PATH=/.bootloom/bin; ${words}`] },
    probe: { http: '/index.html', port: 8080 },
    writable: [{ path: '/srv/state' }],
  })
  const bundle = await compose(
    {
      blueprint,
      blueprintDigest: await store.writeJson(blueprint),
      stack,
      stackDigest: await store.writeJson(stack),
      selection,
      selectionDigest: await store.writeJson(selection),
      modules,
      level: 'fast',
      zstdLevel: 3,
      context: { store, state, log: silent },
    },
    () => {},
  )
  return bundle.digest
}
