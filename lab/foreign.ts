import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { stringify } from 'yaml'
import type { ComposeReport } from '../src/change/report.ts'
import { run } from '../src/config/command.ts'
import { ApiClient } from '../src/http/api-client.ts'
import { down, up } from './lab.ts'
import { macOf, startNode } from './node.ts'
import { paths, placeOf } from './place.ts'
import { becomeRoot } from './root.ts'

/**
 * `npm run prove:foreign`: Debian's own installer, as the package has it, from a foreign blueprint: applied, fetched,
 * assigned, and booted on an emulated node until its first question stands on the serial console. The package is
 * downloaded by apt (133 MB) and unpacked, not installed. The last line is one JSON object.
 */
const installer = 'debian-installer-12-netboot-amd64'
const firstQuestion = /Select a language|Choose the language/

interface NodeBoots {
  readonly boots: readonly { readonly outcome?: string; readonly stages: readonly { stage: string; at: number }[] }[]
}

await becomeRoot()
const place = placeOf({ name: `bootloom-foreign-${process.pid}` })
const api = new ApiClient(paths.api(place))
await up(place, { held: true, progress: ({ step }) => console.error(`  ${step}`) })
try {
  const yaml = stringify({ name: 'debian-installer', foreign: await files() })
  await api.request('POST', '/v1/blueprints', { yaml, directory: place.directory })
  const path = '/v1/blueprints/debian-installer/compose'
  const composed = await api.job<ComposeReport>('POST', path, {}, ({ step }) => console.error(`  ${step}`))
  const mac = macOf(1)
  await api.request('PUT', `/v1/nodes/${mac}`, { blueprint: 'debian-installer', hostname: 'installed1' })
  const since = Date.now()
  const node = await startNode(place, { index: 1, memory: 1024 })
  await node.serial.waitFor(firstQuestion, 240_000)
  const seconds = (Date.now() - since) / 1000
  const outcome = await outcomeOf(mac)
  await node.stop()
  const { kernel, size } = composed.totals
  console.log(JSON.stringify({ installer, outcome, seconds, bytes: { kernel, initrd: size } }))
  if (outcome !== 'delivered') process.exitCode = 1
} finally {
  await api.close()
  await down(place)
  await rm(place.directory, { recursive: true, force: true })
}

async function files() {
  const directory = join(place.directory, 'installer')
  await mkdir(directory, { recursive: true })
  await run('apt-get', ['download', installer], { cwd: directory, timeout: 300_000 })
  const [archive] = await readdir(directory)
  await run('dpkg-deb', ['-x', archive!, 'files'], { cwd: directory })
  const base = join(directory, `files/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64`)
  const sha256 = (await run('sha256sum', [join(base, 'initrd.gz')])).slice(0, 64)
  return {
    kernel: join(base, 'linux'),
    initrds: [{ from: join(base, 'initrd.gz'), sha256 }],
    cmdline: 'console=ttyS0,115200n8 hostname={{hostname}} bootif={{mac}} --- quiet',
  }
}

/** The account of the boot is written behind: it may come a moment after the screen. */
async function outcomeOf(mac: string): Promise<string | undefined> {
  for (let tries = 0; tries < 20; tries++) {
    const { boots } = await api.request<NodeBoots>('GET', `/v1/nodes/${mac}`)
    if (boots[0]?.outcome) return boots[0].outcome
    await sleep(250)
  }
  return undefined
}
