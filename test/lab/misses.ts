import type { ChildProcess } from 'node:child_process'
import { createServer, request } from 'node:http'
import { type AddressInfo, createServer as createSocketServer } from 'node:net'
import type { SelectedFile, Selection } from '../../src/blueprint/selection.ts'
import { bootArguments } from '../../src/compose/boot-arguments.ts'
import { compose } from '../../src/compose/bundle.ts'
import { initramfsParts } from '../../src/compose/initramfs.ts'
import { modulesOf, type OnMiss } from '../../src/compose/misses.ts'
import { renderOverlay } from '../../src/compose/overlay.ts'
import { pagesModules } from '../../src/compose/pages.ts'
import { type RootFormat, rootModules } from '../../src/compose/root.ts'
import { silent } from '../../src/config/log.ts'
import type { Component, ComponentRef } from '../../src/repository/component.ts'
import { updateNode } from '../../src/state/nodes.ts'
import { bootParts, type Machine, powerOn } from '../boot/machine.ts'
import { blueprintOf, componentOf, selectionOf, stackOf } from '../compose/stack.ts'
import type { Fixture } from '../http/fixture.ts'

/** What stands between the node and its server, and how it treats what the node fetches. */
export interface Line {
  /** As the node sees it. */
  readonly url: string
  /** `cut`: nobody answers. `damaged`: the first byte of every content is another one. */
  blobs: 'whole' | 'cut' | 'damaged'
  /** What it says to the next reports of misses of a node, instead of handing them on. */
  readonly refuses: { readonly mac: string; readonly status: number }[]
  /** The addresses of those that it handed on. */
  readonly told: string[]
  close(): void
}

/** Leads to the fixture's server, from a port that a virtual machine with a user network reaches. */
export async function lineTo(fixture: Fixture): Promise<Line> {
  const server = createServer((asked, reply) => {
    const blob = asked.url!.startsWith('/blob/')
    if (blob && line.blobs === 'cut') return
    if (asked.url!.startsWith('/misses')) {
      const [refusal] = line.refuses
      if (refusal && asked.url!.includes(refusal.mac)) {
        line.refuses.shift()
        asked.resume().on('end', () => reply.writeHead(refusal.status).end())
        return
      }
      line.told.push(asked.url!)
    }
    const { method, headers, url } = asked
    const onward = request(`${fixture.server.url}${url}`, { method: method!, headers, agent: false }, (answer) => {
      reply.writeHead(answer.statusCode!, answer.headers)
      let first = blob && line.blobs === 'damaged'
      answer.on('data', (bytes: Buffer) => {
        if (first) bytes[0]! ^= 1
        first = false
        reply.write(bytes)
      })
      answer.on('end', () => reply.end())
    })
    onward.on('error', () => reply.destroy())
    asked.pipe(onward)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const line: Line = {
    url: `http://10.0.2.2:${(server.address() as AddressInfo).port}`,
    blobs: 'whole',
    refuses: [],
    told: [],
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
  return line
}

export interface Node {
  readonly machine: Machine
  readonly process: ChildProcess
  readonly boot: string
  /** GET from its application. */
  get(path: string, patience?: number): Promise<{ status: number; text: string }>
  /** Runs a shell command on it, as root, and gives what it printed. */
  shell(command: string, patience?: number): Promise<string>
}

interface NodeOptions {
  readonly mac: string
  readonly onMiss: OnMiss
  /** What the stack has besides. */
  readonly lacking: Parameters<typeof componentOf>[4]
  readonly root?: RootFormat
  /** Firmware by name. */
  readonly firmware?: Readonly<Record<string, string>>
  /** Files that the bundle has only these pages of. */
  readonly paged?: Readonly<Record<string, { readonly content: Buffer; readonly pages: string }>>
}

/**
 * Boots a node of a busybox web server that has the first component only; its stack has the second too. A CGI script
 * lets the tests run commands on it.
 */
export async function bootNode(
  fixture: Fixture,
  line: Line,
  { mac, onMiss, lacking, root = 'files', paged = {}, firmware = {} }: NodeOptions,
): Promise<Node> {
  const { store, state } = fixture
  const named = [...modulesOf[onMiss], ...rootModules[root], ...(Object.keys(paged).length > 0 ? pagesModules : [])]
  const { kernel, busybox, modules } = await bootParts(store, [...new Set(named)])
  const program = (await store.readJson<Component>(busybox.digest)).entries[0]!.digest!
  const application = await componentOf(
    store,
    'deb',
    'httpd',
    '1',
    {
      '/usr/bin/httpd': await store.read(program),
      '/etc/passwd': 'root:x:0:0::/:/bin/sh\n',
      '/srv/index.html': 'It works\n',
      '/.hidden': 'seen',
      ...Object.fromEntries(Object.entries(paged).map(([path, { content }]) => [path, content])),
      '/srv/cgi-bin/run': `#!/.bootloom/busybox sh
export PATH=/.bootloom/bin:/usr/bin
printf 'Content-Type: text/plain\\r\\n\\r\\n'
/.bootloom/busybox head -c "$CONTENT_LENGTH" | /.bootloom/busybox sh 2>&1
`,
    },
    { '/srv/cgi-bin/run': 0o755 },
  )
  const rest: ComponentRef = await componentOf(store, 'deb', 'more', '1', lacking)
  const components = [application, rest]
  const blueprint = blueprintOf({
    onMiss,
    start: { command: ['/usr/bin/httpd', '-f', '-p', '8080', '-h', '/srv'] },
    probe: { http: '/index.html', port: 8080 },
  })
  const stack = stackOf(components, kernel, busybox)
  const selection = withPages(await selectionOf(store, [application]), paged)
  const loaded = await Promise.all(
    Object.entries(firmware).map(async ([name, text]) => {
      const digest = await store.write(Buffer.from(text))
      const entry = {
        path: `/lib/firmware/${name}`,
        type: 'file',
        mode: 0o644,
        uid: 0,
        gid: 0,
        size: text.length,
      } as const
      return { name, entry: { ...entry, digest } }
    }),
  )
  const bundle = await compose(
    {
      blueprint,
      blueprintDigest: await store.writeJson(blueprint),
      stack,
      stackDigest: await store.writeJson(stack),
      selection,
      selectionDigest: await store.writeJson(selection),
      modules,
      root: { format: root, why: 'the test says so' },
      firmware: loaded,
      level: 'fast',
      zstdLevel: 3,
      context: { store, state, log: silent },
    },
    () => {},
  )
  const assignment = { blueprint: 'test', bundle: bundle.digest }
  await updateNode(state.redis, mac, () => ({ mac, groups: [], assignment }))
  const script = await (await fixture.get(`/ipxe?mac=${mac}`)).text()
  const boot = /bootloom\.boot=([0-9a-f]+)/.exec(script)![1]!
  const described = { server: line.url, mac, boot, bundle: bundle.digest, deadline: 600 }
  const overlay = renderOverlay({
    manifestDigest: bundle.digest,
    config: bundle.config,
    node: { mac },
    server: line.url,
    bootId: boot,
  })
  const { parts } = initramfsParts(bundle.manifest)
  const segments = await Promise.all(parts.map(({ descriptor }) => store.read(descriptor.digest)))
  const forward = await freePort()
  const machine = await powerOn({
    directory: fixture.directory,
    kernel: store.path(bundle.manifest.layers[0]!.digest),
    initramfs: Buffer.concat([...segments, overlay]),
    cmdline: `${bundle.config.cmdline} ${bootArguments(described)}`,
    mac,
    forward,
  })
  const ask = async (path: string, init: RequestInit, patience = 30_000) => {
    const signal = AbortSignal.timeout(patience)
    const answer = await fetch(`http://127.0.0.1:${forward}${path}`, { ...init, signal })
    return { status: answer.status, text: await answer.text() }
  }
  return {
    machine,
    process: machine.process,
    boot,
    get: (path, patience) => ask(path, {}, patience),
    shell: async (command, patience) =>
      (await ask('/cgi-bin/run', { method: 'POST', body: `${command}\n` }, patience)).text,
  }
}

function withPages(selection: Selection, paged: NonNullable<NodeOptions['paged']>): Selection {
  const files = (all: readonly SelectedFile[]) =>
    all.map((file) => (paged[file.path] ? { ...file, pages: paged[file.path]!.pages } : file))
  return { ...selection, parts: selection.parts.map((part) => ({ ...part, files: files(part.files) })) }
}

async function freePort(): Promise<number> {
  const server = createSocketServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
