import { rm } from 'node:fs/promises'
import { run } from '../../src/config/command.ts'
import { ApiClient } from '../../src/http/api-client.ts'
import type { Change } from '../../src/state/changes.ts'
import { layOut } from '../blueprint.ts'
import { down, up } from '../lab.ts'
import { paths, placeOf } from '../place.ts'
import { becomeRoot } from '../root.ts'
import { until } from '../wait.ts'
import { atMost, report, rounded } from './report.ts'

/**
 * A security update of Apache, from the question whether there is one to a bundle on `stable` that was replayed and
 * proven in a virtual machine. Cold: nothing of the new version was ever fetched here.
 */
const packages = ['apache2', 'apache2-bin', 'apache2-data', 'apache2-utils']

await becomeRoot()
const place = placeOf({ name: 'bootloom-patch' })
await rm(place.directory, { recursive: true, force: true })
let told = ''
const progress = ({ step }: { step: string }) => {
  if (step !== told) console.error(`  ${step}`)
  told = step
}
await up(place, { held: true, progress })
const api = new ApiClient(paths.api(place))
try {
  await measure()
} finally {
  await api.close()
  await down(place)
  await rm(place.directory, { recursive: true, force: true })
}

async function measure(): Promise<void> {
  const { yaml, directory } = await layOut(place, 'apache')
  const policy = 'verify: true\npromote: auto-security\n'
  await api.request('POST', '/v1/blueprints', { yaml: `${yaml}\n${policy}`, directory })
  const old = await olderVersion('apache2-bin')
  const pin = { version: old, until: '2099-01-01', reason: 'the version before' }
  for (const name of packages) await api.request('PUT', `/v1/pins/apache/${name}`, pin)
  await api.job('POST', '/v1/blueprints/apache/observe', {}, progress)
  await api.job('POST', '/v1/blueprints/apache/compose', { level: 'fast' }, progress)
  const first = await ended('1')
  if (first?.state === 'held') await api.request('POST', '/v1/changes/1/approve', {})
  for (const name of packages) await api.request('DELETE', `/v1/pins/apache/${name}`)

  const began = Date.now()
  const [change] = await api.job<Change[]>('POST', '/v1/changes/detect', { wait: true }, progress)
  const part = change?.parts.find(({ blueprint }) => blueprint === 'apache')
  if (part?.state !== 'promoted') throw new Error(`not promoted: ${JSON.stringify(part)}`)
  for (const { name, from, to } of part.updates) console.error(`  ${name} ${from} → ${to}`)
  for (const { state, took, note } of part.history) console.error(`  ${state} ${took ?? ''} ms ${note ?? ''}`)
  const at = (state: string) => part.history.find((step) => step.state === state)!.at
  const seconds = (until: number, since: number) => rounded((until - since) / 1000)
  report('patch', [
    atMost('sources asked → proven candidate on stable', 's', seconds(at('promoted'), began), 60),
    atMost('of which weaving', 's', part.weaving ?? 0, 2),
  ])
}

/** Of a package that both the release and its security updates have, the release's. */
async function olderVersion(name: string): Promise<string> {
  const versions = (await run('apt-cache', ['madison', name]))
    .split('\n')
    .map((line) => line.split('|')[1]?.trim() ?? '')
  const old = [...new Set(versions.filter((version) => version !== ''))].at(-1)
  if (old === undefined) throw new Error(`the mirror has no ${name}`)
  return old
}

async function ended(id: string) {
  const look = async () => {
    const { parts } = await api.request<Change>('GET', `/v1/changes/${id}`)
    const open = parts.filter(({ state }) => ['detected', 'woven', 'replayed', 'verified'].includes(state))
    return open.length === 0 ? { found: parts[0] } : { seen: open.map(({ state }) => state).join(', ') }
  }
  return until('the change has ended', look, { timeout: 600_000 })
}
