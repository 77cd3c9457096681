import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../src/config/command.ts'
import { createNamespace, inside, removeNamespace } from '../../src/machine/namespace.ts'
import { end } from '../../src/machine/process.ts'
import { fetchInside } from '../fetch.ts'
import { network, type Place } from '../place.ts'
import { startDaemon } from '../processes.ts'

const port = 8080
const origin = `http://${network.address}:${port}`

/**
 * Takes kernel, initramfs and overlay from our own server, and writes the peer's script and settings beside them. It asks
 * from the node's address, for a node's overlay is given to nobody else; the node must be off.
 */
export async function takeFiles(
  place: Place,
  node: { mac: string; address: string },
  directory: string,
): Promise<void> {
  await mkdir(directory, { recursive: true })
  const take = async (url: string, name: string) => {
    const [file, ...words] = inside(place.name, [
      ...['curl', '-sSf', '--interface', node.address, '-o', join(directory, name), url],
    ])
    await run(file, words)
  }
  const lend = (verb: 'add' | 'del') =>
    run('ip', ['-n', place.name, 'address', verb, `${node.address}/32`, 'dev', 'lo'])
  await lend('add')
  try {
    await take(`${origin}/ipxe?mac=${node.mac}`, 'boot.ipxe')
    let script = await readFile(join(directory, 'boot.ipxe'), 'utf8')
    for (const [, name, url] of [...script.matchAll(/^(?:kernel|initrd) --name (\w+) (\S+)/gm)]) {
      await take(url!, name!)
      script = script.replace(url!, `${origin}/${name}`)
    }
    await writeFile(join(directory, 'boot.ipxe'), script)
  } finally {
    await lend('del')
  }
  await writeFile(join(directory, 'nginx.conf'), nginxSettings(directory))
}

const nginxSettings = (directory: string) => `
daemon off;
worker_processes 2;
error_log ${directory}/nginx.log;
pid ${directory}/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_timeout 60;
  server { listen ${network.address}:${port}; root ${directory}; }
}
`

/**
 * dnsmasq and nginx in a namespace of their own, as somebody who knows iPXE sets them up: no wait for a ProxyDHCP server
 * (option 175.176), no ping before an offer, one script fetched by its URL. Router advertisements as in the lab.
 */
export async function startPeer(place: Place): Promise<{ close(): Promise<void> }> {
  const { directory } = place
  await createNamespace(place.name)
  const dnsmasq = [
    ...['dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--port=0', '--user=root', '--log-facility=-'],
    ...[`--interface=${network.bridge}`, '--bind-interfaces', '--no-ping', '--dhcp-authoritative'],
    ...[`--dhcp-range=${network.range.join(',')},1h`, `--dhcp-leasefile=${directory}/leases`],
    ...['--dhcp-match=set:ipxe,175', '--dhcp-option-force=encap:175,176,1b'],
    `--dhcp-boot=tag:ipxe,${origin}/boot.ipxe`,
  ] as const
  const settings = join(directory, 'radvd.conf')
  const timing = 'MinRtrAdvInterval 3; MaxRtrAdvInterval 4; AdvDefaultLifetime 0;'
  await writeFile(settings, `interface ${network.bridge} { AdvSendAdvert on; ${timing} };\n`)
  const radvd = ['radvd', '--nodaemon', '--config', settings, '--pidfile', join(directory, 'radvd.pid')]
  const nginx = ['nginx', '-c', join(directory, 'nginx.conf')] as const
  const processes = Object.entries({ dnsmasq, nginx, radvd }).map(([what, command]) =>
    startDaemon(place, { what, command: inside(place.name, command) }),
  )
  await fetchInside(place.name, `${origin}/boot.ipxe`)
  return {
    async close() {
      for (const process of processes) await end(process)
      await removeNamespace(place.name)
    },
  }
}
