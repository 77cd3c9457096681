import { existsSync } from 'node:fs'
import { mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { run } from '../../src/config/command.ts'
import type { ApiClient } from '../../src/http/api-client.ts'
import { network, type Place } from '../place.ts'
import { insideNodes, nodesInterface, nodesNamespace, settleNodesInterface } from '../storm/network.ts'
import type { Row } from './clients.ts'

const script = fileURLToPath(new URL('./cloud-init.sh', import.meta.url))
const userData = '#cloud-config\nwrite_files: [{ path: /etc/written, content: by NoCloud }]\n'

/**
 * Debian's cloud-init in a root directory of its own (installed once for a lab: on a machine that is somebody's it would
 * do its work at the next boot): takes its name and its user data from the node's seed.
 */
export async function runCloudInit(place: Place, api: ApiClient): Promise<Row> {
  const root = await installed(place)
  const version = await run('dpkg-query', [`--admindir=${root}/var/lib/dpkg`, '-W', '-f', '${Version}', 'cloud-init'])
  const row = { client: 'cloud-init', version, road: 'NoCloud by HTTP' }
  const inNodes = ['-n', nodesNamespace(place)]
  await run('ip', [...inNodes, 'address', 'flush', 'dev', nodesInterface])
  await settleNodesInterface(place)
  const links = JSON.parse(await run('ip', ['-j', ...inNodes, 'link', 'show', nodesInterface])) as { address: string }[]
  const mac = links[0]!.address
  await api.request('PUT', `/v1/nodes/${mac}`, { hostname: 'seeded1' })
  await api.request('PUT', `/v1/nodes/${mac}/user-data`, { userData })
  const seed = `http://${network.address}:8080/nocloud/${mac}/`
  const cwd = await mkdtemp(join(tmpdir(), 'conformance-'))
  try {
    const [file, ...words] = insideNodes(place, ['unshare', '-m', '-u', 'sh', script, root, nodesInterface, seed])
    const began = performance.now()
    const { stdout, stderr, exitCode } = await execa(file, words, { reject: false, timeout: 120_000, cwd })
    const took = `${((performance.now() - began) / 1000).toFixed(1)} s.`
    if (stdout.includes('hostname seeded1') && stdout.includes('written by NoCloud')) {
      return { ...row, result: 'ok', note: `${took} Host name and user data of the node.` }
    }
    const last = `${stdout}\n${stderr}`.trim().split('\n').slice(-3).join(' ').slice(0, 300)
    return { ...row, result: 'fails', note: `status ${exitCode}: ${last}` }
  } finally {
    await rm(cwd, { recursive: true, force: true })
  }
}

async function installed(place: Place): Promise<string> {
  const root = join(place.directory, 'cloud-init-root')
  if (existsSync(root)) return root
  const begun = `${root}.begun`
  await rm(begun, { recursive: true, force: true })
  await run('mmdebstrap', ['--variant=essential', '--include=cloud-init', 'bookworm', begun], { timeout: 600_000 })
  await rename(begun, root)
  return root
}
