import { rm } from 'node:fs/promises'
import { parse, stringify } from 'yaml'
import type { ComposeReport } from '../src/change/report.ts'
import { BootloomError } from '../src/config/errors.ts'
import type { OnProgress } from '../src/config/progress.ts'
import { ApiClient } from '../src/http/api-client.ts'
import type { Change } from '../src/state/changes.ts'
import { layOut } from './blueprint.ts'
import { type Blueprint, kinds, patient } from './broken.ts'
import { down, up } from './lab.ts'
import { paths, placeOf } from './place.ts'
import { becomeRoot } from './root.ts'
import { until } from './wait.ts'

/**
 * `npm run prove:verify [KIND…]`: bundles of Apache that are broken in one way each, none of them replayed, so that only
 * the virtual machine is there to find out, where watching it does not already. None may come to `stable`. One line of JSON for each.
 */
const wanted = process.argv.slice(2)
for (const kind of wanted) {
  if (!kinds[kind]) throw new BootloomError('USAGE', `kinds: ${Object.keys(kinds).join(', ')}`, { where: kind })
}
await becomeRoot()
const place = placeOf({ name: `bootloom-verify-${process.pid}` })
const api = new ApiClient(paths.api(place))
let told = ''
const onStep: OnProgress = ({ step }) => {
  if (step !== told) console.error(`  ${step}`)
  told = step
}
await up(place, { held: true, progress: onStep })
try {
  const { yaml, directory } = await layOut(place, 'apache')
  const blueprint = { ...(parse(yaml) as Blueprint), verify: patient }
  await api.request('POST', '/v1/blueprints', { yaml: stringify(blueprint), directory })
  await api.job('POST', '/v1/blueprints/apache/observe', {}, onStep)
  const good = await taken(directory, blueprint)
  console.log(JSON.stringify({ kind: 'as it should be', ...good }))
  if (good.state !== 'promoted') process.exitCode = 1
  for (const [kind, edit] of Object.entries(kinds)) {
    if (wanted.length > 0 && !wanted.includes(kind)) continue
    const found = await taken(directory, edit(blueprint))
    console.log(JSON.stringify({ kind, ...found }))
    const came = 'bundle' in found && (found.stable === found.bundle || found.candidate === found.bundle)
    if (!['held', 'refused'].includes(found.state) || came) process.exitCode = 1
  }
} finally {
  await api.close()
  await down(place)
  await rm(place.directory, { recursive: true, force: true })
}

/** Weaves it without a replay, and waits for what comes of it. */
async function taken(directory: string, blueprint: Blueprint) {
  await api.request('POST', '/v1/blueprints', { yaml: stringify(blueprint), directory })
  const options = { level: 'fast', replay: false }
  const began = Date.now()
  const composing = api.job<ComposeReport>('POST', '/v1/blueprints/apache/compose', options, onStep)
  const composed = await composing.catch((error: BootloomError) => error)
  const seconds = () => Math.round((Date.now() - began) / 1000)
  // What is started otherwise is watched anew, and then it shows before there is a bundle at all.
  if (composed instanceof Error) {
    return { state: 'refused', why: `${composed.code}: ${composed.message}`, seconds: seconds(), ...(await pointers()) }
  }
  const { digest } = composed
  const look = async () => {
    const [change] = await api.request<Change[]>('GET', '/v1/changes?count=1')
    const part = change?.parts[0]
    if (part?.bundle === digest && !['woven', 'replayed', 'verified'].includes(part.state)) {
      const { stable, candidate } = await pointers()
      const bundle = digest.slice(7, 19)
      const why = part.why ? { why: part.why } : {}
      return { found: { state: part.state, ...why, seconds: seconds(), bundle, stable, candidate } }
    }
    return { seen: `${part?.state ?? 'no change'} of ${part?.bundle ?? 'no bundle'}` }
  }
  return until('the change has ended', look, { timeout: 600_000 })
}

async function pointers(): Promise<{ stable?: string; candidate?: string }> {
  const all = await api.request<{ blueprint: string; stable?: string; candidate?: string }[]>('GET', '/v1/channels')
  const { stable, candidate } = all.find(({ blueprint }) => blueprint === 'apache')!
  return {
    ...(stable ? { stable: stable.slice(7, 19) } : {}),
    ...(candidate ? { candidate: candidate.slice(7, 19) } : {}),
  }
}
