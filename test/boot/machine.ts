import { type ChildProcess, spawn } from 'node:child_process'
import { access, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '../../src/config/command.ts'
import type { ComponentRef } from '../../src/repository/component.ts'
import type { Digest } from '../../src/store/digest.ts'
import type { Store } from '../../src/store/store.ts'
import { componentOf } from '../compose/stack.ts'

export interface Report {
  readonly stage: string
  readonly uptime: number
  readonly query: URLSearchParams
  readonly body: string
}

/** Takes the reports of nodes on a loopback port; a node with a user network reaches it at 10.0.2.2. */
export async function reportSink() {
  const reports: Report[] = []
  const waiting = new Set<() => void>()
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const { pathname, searchParams: query } = new URL(request.url ?? '/', 'http://sink')
    if (pathname !== '/report') return response.end()
    reports.push({ stage: query.get('stage') ?? '', uptime: Number(query.get('uptime')), query, body })
    response.end('ok')
    for (const wake of waiting) wake()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://10.0.2.2:${(server.address() as AddressInfo).port}`,
    reports,
    /** The first report of a stage; rejects when it does not come in time. */
    async stage(name: string, milliseconds: number): Promise<Report> {
      const signal = AbortSignal.timeout(milliseconds)
      for (;;) {
        const found = reports.find(({ stage }) => stage === name)
        if (found) return found
        await new Promise<void>((resolve, reject) => {
          waiting.add(resolve)
          signal.addEventListener('abort', () => reject(new Error(`no report '${name}': ${JSON.stringify(reports)}`)))
        })
      }
    },
    close: () => server.close(),
  }
}

export interface Machine {
  readonly process: ChildProcess
  /** What it printed on its serial console so far. */
  console(): string
  /** Exit status of QEMU; -no-reboot makes a reboot of the node the end of it. */
  readonly ended: Promise<number | null>
}

/** A virtual machine with the given kernel and initramfs; `forward` is a port of ours that leads to its port 8080. */
export async function powerOn(options: {
  directory: string
  kernel: string
  initramfs: Buffer
  cmdline: string
  mac: string
  forward?: number
  memory?: number
}): Promise<Machine> {
  const initrd = join(options.directory, `initrd-${Math.random()}`)
  await writeFile(initrd, options.initramfs)
  const net = `user,id=n${options.forward ? `,hostfwd=tcp:127.0.0.1:${options.forward}-:8080` : ''}`
  const child = spawn(
    'qemu-system-x86_64',
    [
      ...['-accel', 'tcg', '-machine', 'pc', '-m', String(options.memory ?? 256), '-display', 'none', '-no-reboot'],
      ...[
        '-serial',
        'stdio',
        '-monitor',
        'none',
        '-netdev',
        net,
        '-device',
        `virtio-net-pci,netdev=n,mac=${options.mac}`,
      ],
      ...['-kernel', options.kernel, '-initrd', initrd, '-append', options.cmdline],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
  })
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  return { process: child, console: () => text, ended }
}

/** Modules of the cloud kernel for a virtio network card, in the order in which they are loaded. */
const moduleNames = [
  ...['virtio_ring', 'virtio', 'virtio_pci_legacy_dev', 'virtio_pci_modern_dev', 'virtio_pci'],
  ...['failover', 'net_failover', 'virtio_net'],
]

/** Debian's cloud kernel and static busybox as components, out of their packages; with `more` modules by name. */
export async function bootParts(
  store: Store,
  more: readonly string[] = [],
): Promise<{
  kernel: ComponentRef
  busybox: ComponentRef
  modules: { path: string; digest: Digest; size: number }[]
}> {
  const { root: kernelRoot, release } = await kernelPackage()
  const busyboxRoot = await unpack('busybox-static')
  const found = (await run('find', [`${kernelRoot}/lib/modules`, '-name', '*.ko'])).split('\n')
  const paths = [...moduleNames, ...more].map((name) =>
    found.find((path) => path.endsWith(`/${name}.ko`))!.slice(kernelRoot.length),
  )
  const tree: Record<string, Buffer> = {}
  for (const path of [`/boot/vmlinuz-${release}`, ...paths]) tree[path] = await readFile(`${kernelRoot}${path}`)
  const modules = await Promise.all(
    paths.map(async (path) => ({ path, digest: await store.write(tree[path]!), size: tree[path]!.length })),
  )
  return {
    kernel: await componentOf(store, 'kernel', release, '6.1', tree),
    busybox: await componentOf(store, 'deb', 'busybox-static', '1', {
      '/bin/busybox': await readFile(`${busyboxRoot}/bin/busybox`),
    }),
    modules,
  }
}

/** Debian's newest cloud kernel, unpacked. */
export async function kernelPackage(): Promise<{ root: string; release: string }> {
  const policy = await run('apt-cache', ['depends', 'linux-image-cloud-amd64'])
  const image = /linux-image-\S+-cloud-amd64/.exec(policy.split('Depends:')[1] ?? '')?.[0] ?? 'linux-image-cloud-amd64'
  return { root: await unpack(image), release: image.replace('linux-image-', '') }
}

async function unpack(name: string): Promise<string> {
  const directory = join(tmpdir(), 'bootloom-test-packages')
  const root = join(directory, name)
  try {
    await access(join(root, '.whole'))
    return root
  } catch {
    await mkdir(root, { recursive: true })
  }
  await run('apt-get', ['download', '-o', 'APT::Sandbox::User=root', name], { cwd: directory })
  const file = (await readdir(directory)).find((entry) => entry.startsWith(`${name}_`))
  await run('dpkg-deb', ['-x', join(directory, file ?? name), root])
  await writeFile(join(root, '.whole'), '')
  return root
}
