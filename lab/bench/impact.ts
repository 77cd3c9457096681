import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { openContext } from '../../src/change/context.ts'
import { indexPath } from '../../src/change/impact/file-index.ts'
import type { IndexReport } from '../../src/change/impact/jobs.ts'
import type { ImpactQuestion, ImpactReport } from '../../src/change/impact/report.ts'
import { silent } from '../../src/config/log.ts'
import { settingsSchema } from '../../src/config/settings.ts'
import { ApiClient } from '../../src/http/api-client.ts'
import { startControl } from '../../src/http/control.ts'
import { makeFleet, packageName, versions } from './impact-fleet.ts'
import { atMost, median, report, rounded } from './report.ts'

/** One package update over a made-up fleet, asked of a server by its API as the command line does. */
const size = { blueprints: 200, components: 300, nodes: 5000 }
const rounds = Number(process.argv[2] ?? 100)

const state = await mkdtemp(join(tmpdir(), 'i-'))
const settings = settingsSchema.parse({ state })
try {
  const context = await openContext(settings, silent)
  console.error(`  making ${size.blueprints} blueprints × ${size.components} components × ${size.nodes} nodes`)
  await makeFleet(context, size)
  await context.close()
  const control = await startControl(settings, silent)
  const client = new ApiClient(join(state, 'api.sock'))
  try {
    await measure(client)
  } finally {
    await client.close()
    await control.close()
  }
} finally {
  await rm(state, { recursive: true, force: true })
}

async function measure(client: ApiClient): Promise<void> {
  const ask = (question: ImpactQuestion) => client.job<ImpactReport>('POST', '/v1/impact', question, () => {})
  const timed = async <T>(work: () => Promise<T>) => {
    const began = performance.now()
    const result = await work()
    return { result, took: performance.now() - began }
  }
  console.error('  making the index')
  const made = await client.job<IndexReport>('POST', '/v1/impact/rebuild', {}, () => {})
  const first = await timed(() => ask({ package: `${packageName(0)}=${versions[2]}` }))
  const took: number[] = []
  let affected = 0
  for (let round = 1; round <= rounds; round++) {
    const asked = await timed(() => ask({ package: `${packageName(round * 7)}=${versions[2]}` }))
    if (asked.result.rows.length !== size.blueprints) throw new Error(`${asked.result.rows.length} rows`)
    if (asked.result.bundles.reduce((sum, { nodes }) => sum + nodes.length, 0) !== size.nodes) throw new Error('nodes')
    affected += asked.result.rows.filter(({ verdict }) => verdict === 'affected').length
    took.push(asked.took)
  }
  const path = `/usr/lib/x86_64-linux-gnu/${packageName(21)}/part-008.so`
  const byFile = await timed(() => ask({ file: path }))
  const [row] = byFile.result.rows
  const digest = row!.files[0]!.from!.split(' ').at(-1)!
  const byDigest = await timed(() => ask({ digest }))
  const command = await timed(() =>
    execa(join(import.meta.dirname, '../../src/bootloom.sh'), [
      '--state',
      state,
      '--json',
      'impact',
      `${packageName(7)}=${versions[2]}`,
    ]),
  )
  const sorted = took.toSorted((a, b) => a - b)
  const p95 = sorted[Math.ceil(sorted.length * 0.95) - 1]!
  console.error(
    `  index: ${rounded((await stat(indexPath(state))).size / 1e6)} MB, made anew in ${rounded(made.seconds)} s`,
  )
  console.error(`  ${rounded(affected / rounds)} of ${size.blueprints} blueprints affected on average`)
  console.error(
    `  first question ${rounded(first.took)} ms; --file ${rounded(byFile.took)} ms, --digest ${rounded(byDigest.took)} ms`,
  )
  console.error(`  the whole command, from the shell, ${rounded(command.took)} ms`)
  const of = `one package update, ${rounds} packages`
  report('impact', [atMost(`${of}: p50`, 'ms', median(took), 100), atMost(`${of}: p95`, 'ms', p95, 100)])
}
