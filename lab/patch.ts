import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { BootloomError } from '../src/config/errors.ts'
import { ApiClient } from '../src/http/api-client.ts'
import type { Component } from '../src/repository/component.ts'
import type { Change } from '../src/state/changes.ts'
import type { ComponentSummary } from '../src/state/components.ts'
import { type Digest, hexOf } from '../src/store/digest.ts'
import { Store } from '../src/store/store.ts'
import { layOut } from './blueprint.ts'
import { addressOf, watchBoot } from './boot-watch.ts'
import { fetchInside } from './fetch.ts'
import { down, up } from './lab.ts'
import { type LabNode, macOf, startNode } from './node.ts'
import { paths, placeOf } from './place.ts'
import { becomeRoot } from './root.ts'
import { until } from './wait.ts'

/**
 * `npm run prove:patch`: Debian's libssl3 moves on under five blueprints, two of which use it. Those two are woven,
 * replayed, verified and promoted; the others are left alone, each with its reason. Then the nodes of the two are started
 * anew, and tell what their running processes have mapped.
 */
const library = '/usr/lib/x86_64-linux-gnu/libssl.so.3'
const old = '3.0.20-1~deb12u2'
const witnessPort = 9000

/** The two that use it, with the program that does. */
const users = { redis: 'redis-server', nginx: 'nginx' } as const
type User = keyof typeof users

/** Prints the digest of the very file that a process has mapped as libssl, whatever stands at its path. */
const witness = (program: string) => `#!/usr/bin/busybox sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
for pid in $(/usr/bin/busybox pidof ${program}); do
  line=$(/usr/bin/busybox grep -m 1 'libssl.so' /proc/$pid/maps)
  digest=$(/usr/bin/busybox sha256sum "/proc/$pid/map_files/\${line%% *}")
  echo "\${digest%% *} mapped as \${line##* }"
done
`

type Blueprint = Record<string, unknown> & { stack: { deb?: { packages: string[] } }[]; workload?: unknown[] }

/** Has a second service on the node that tells what the first one has mapped. */
function withWitness(blueprint: Blueprint, name: User): Blueprint {
  const { start, writable, ...rest } = blueprint
  const [deb, ...sources] = rest.stack
  return {
    ...rest,
    ...(writable ? { writable } : {}),
    stack: [{ deb: { ...deb!.deb!, packages: [...deb!.deb!.packages, 'busybox-static'] } }, ...sources],
    services: [
      start ? { name, start } : { name },
      {
        name: 'witness',
        start: { command: ['/usr/bin/busybox', 'httpd', '-f', '-p', `${witnessPort}`, '-h', '/witness'] },
        probe: { tcp: witnessPort },
      },
    ],
    files: [{ path: '/witness/cgi-bin/maps', mode: '0755', content: witness(users[name]) }],
    workload: [...(rest.workload ?? []), { http: '/cgi-bin/maps', port: witnessPort, expect: { contains: 'libssl' } }],
    verify: true,
  }
}

const page = (name: string, packages: readonly string[], more: Record<string, unknown>): Blueprint => ({
  name,
  stack: [{ deb: { packages: ['busybox-static', ...packages] } }],
  start: { command: ['/usr/bin/busybox', 'httpd', '-f', '-p', '80', '-h', '/srv'] },
  probe: { http: '/index.html' },
  files: [{ path: '/srv/index.html', content: name }],
  ...more,
})

await becomeRoot()
const place = placeOf({ name: 'bootloom-prove-patch' })
await rm(place.directory, { recursive: true, force: true })
let told = ''
const progress = ({ step, detail }: { step: string; detail?: string }) => {
  if (step !== told) console.error(`  ${step} ${detail ?? ''}`)
  told = step
}
await up(place, { held: true, progress })
const api = new ApiClient(paths.api(place))
const nodes = new Map<User, LabNode>()
try {
  await prove()
} finally {
  for (const node of nodes.values()) await node.stop()
  await api.close()
  await down(place)
}
if (process.exitCode === undefined) await rm(place.directory, { recursive: true, force: true })

async function prove(): Promise<void> {
  const blueprints = await fiveBlueprints()
  for (const [name, { blueprint, directory }] of blueprints) {
    console.error(`${name}:`)
    await api.request('POST', '/v1/blueprints', { yaml: stringify(blueprint), directory })
    const pin = { version: old, until: '2099-01-01', reason: 'the version before' }
    await api.request('PUT', `/v1/pins/${name}/libssl3`, pin)
    await api.job('POST', `/v1/blueprints/${name}/observe`, {}, progress)
    await api.job('POST', `/v1/blueprints/${name}/compose`, { level: 'fast' }, progress)
  }
  await untilAllEnded()
  const before: Record<string, string> = {}
  for (const [index, name] of (Object.keys(users) as User[]).entries()) {
    const mac = macOf(index + 1)
    await api.request('PUT', `/v1/nodes/${mac}`, { blueprint: name })
    const since = Date.now()
    nodes.set(name, await startNode(place, { index: index + 1, memory: 512 }))
    before[name] = await mapped(name, since)
  }
  for (const name of blueprints.keys()) await api.request('DELETE', `/v1/pins/${name}/libssl3`)

  const began = Date.now()
  const [change] = await api.job<Change[]>('POST', '/v1/changes/detect', { wait: true }, progress)
  const seconds = Math.round((Date.now() - began) / 1000)
  const versions = await libraryOf(change!)
  const after: Record<string, string> = {}
  for (const [name, node] of nodes) {
    const since = Date.now()
    await node.reset()
    after[name] = await mapped(name, since)
  }
  const parts = change!.parts.map(({ blueprint, state, why, bundle, woven = [], updates }) => ({
    blueprint,
    state,
    ...(why ? { why } : {}),
    ...(bundle ? { bundle, segments: woven } : {}),
    updates: updates.map(({ name, from, to }) => `${name} ${from} → ${to}`),
  }))
  for (const part of parts) console.error(`  ${JSON.stringify(part)}`)
  // A segment that both have is woven for the one and there for the other.
  const woven = parts.filter(({ bundle }) => bundle !== undefined).map(({ blueprint }) => blueprint)
  const untouched = parts.filter(({ state, why }) => state === 'unaffected' && why).map(({ blueprint }) => blueprint)
  const runOld = Object.values(before).every((digest) => digest === versions.old)
  const runNew = Object.values(after).every((digest) => digest === versions.new)
  const holds = woven.join() === 'nginx,redis' && untouched.length === 3 && runOld && runNew
  console.log(JSON.stringify({ prove: 'patch', seconds, woven, untouched, versions, before, after, holds }))
  if (!holds) process.exitCode = 1
}

async function fiveBlueprints() {
  const found = new Map<string, { blueprint: Blueprint; directory: string }>()
  for (const name of Object.keys(users) as User[]) {
    const { yaml, directory } = await layOut(place, name)
    found.set(name, { blueprint: withWitness(parse(yaml) as Blueprint, name), directory })
  }
  await layOut(place, 'apache')
  const { yaml, directory } = await layOut(place, 'apache')
  found.set('apache', { blueprint: parse(yaml) as Blueprint, directory })
  const keep = { keep: ['/usr/share/doc/libssl3/copyright'] }
  found.set('licences', { blueprint: page('licences', ['libssl3'], keep), directory })
  found.set('plain', { blueprint: page('plain', ['libssl3'], {}), directory })
  return found
}

/** The digest of the file that the node's running process has mapped as libssl. */
async function mapped(name: User, since: number): Promise<string> {
  const node = nodes.get(name)!
  const boot = await watchBoot(api, node, { since, timeout: 240_000 })
  const url = `http://${addressOf(boot)}:${witnessPort}/cgi-bin/maps`
  const { body } = await fetchInside(place.name, url, { patience: 20_000 })
  console.error(`  ${name} on ${node.settings.mac}: ${body.trim().replaceAll('\n', ' | ')}`)
  const digests = new Set([...body.matchAll(/^([0-9a-f]{64}) /gm)].map(([, digest]) => digest!))
  if (digests.size === 1) return [...digests][0]!
  throw new BootloomError('LAB_FAILED', `${name} has ${digests.size} versions of libssl mapped`, { details: [body] })
}

/** What libssl is in the two versions, by the packages themselves. */
async function libraryOf({ parts }: Change): Promise<{ old: string; new: string; version: string }> {
  const version = parts.flatMap(({ updates }) => updates).find(({ name }) => name === 'libssl3')!.to
  const store = await Store.open(join(paths.state(place), 'store'))
  const components = await api.request<ComponentSummary[]>('GET', '/v1/components')
  const digest = async (wanted: string) => {
    const found = components.find(({ name, version: of }) => name === 'libssl3' && of === wanted)!
    const { entries } = await store.readJson<Component>(found.digest as Digest)
    return hexOf(entries.find(({ path }) => path === library)!.digest!)
  }
  return { old: await digest(old), new: await digest(version), version }
}

async function untilAllEnded(): Promise<void> {
  const open = ['detected', 'woven', 'replayed', 'verified']
  const look = async () => {
    const changes = await api.request<Change[]>('GET', '/v1/changes')
    const parts = changes.flatMap((change) => change.parts)
    const held = parts.find(({ state }) => state === 'held')
    if (held) throw new BootloomError('LAB_FAILED', `${held.blueprint} is held: ${held.why}`)
    const left = parts.filter(({ state }) => open.includes(state))
    if (left.length === 0) return { found: parts }
    return { seen: left.map(({ blueprint, state }) => `${blueprint} ${state}`).join(', ') }
  }
  await until('all changes have ended', look, { timeout: 900_000 })
}
