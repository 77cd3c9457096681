import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { applyBlueprint } from '../../src/change/applied.ts'
import { type Context, openContext } from '../../src/change/context.ts'
import { observeBlueprint } from '../../src/change/observe.ts'
import { composeBlueprint, refreshBlueprint } from '../../src/change/weave.ts'
import { silent } from '../../src/config/log.ts'
import { settingsSchema } from '../../src/config/settings.ts'
import { keys } from '../../src/state/keys.ts'
import { layOut } from '../blueprint.ts'
import { paths, placeOf } from '../place.ts'
import { becomeRoot } from '../root.ts'
import { atMost, median, report, timesLess } from './report.ts'

/** One file of the site changes: the work until the new bundle is on the channel, against weaving all of it. */
const rounds = Number(process.argv[2] ?? 15)

await becomeRoot()
const place = placeOf({ name: 'bootloom-regenerate' })
const context = await openContext(settingsSchema.parse({ state: paths.state(place) }), silent)
try {
  await measure(context)
} finally {
  await context.close()
}

async function measure(context: Context): Promise<void> {
  let told = ''
  const progress = ({ step }: { step: string }) => {
    if (step !== told) console.error(`  ${step}`)
    told = step
  }
  const work = { context, progress, signal: new AbortController().signal }
  const reason = 'benchmark'
  const { yaml, directory, site } = await layOut(place, 'apache')
  await applyBlueprint(context, { yaml, directory })
  await observeBlueprint('apache', {}, work)
  await composeBlueprint('apache', { reason }, work)

  const page = join(site!, 'index.html')
  const original = await readFile(page, 'utf8')
  let edits = 0
  const edit = () => writeFile(page, original.replace('</body>', `<!-- ${Date.now()} ${edits++} --></body>`))
  const refreshed = async () => {
    const bundle = await refreshBlueprint('apache', work)
    if (!bundle) throw new Error('the edit was not seen: does a server work on this state directory?')
    return bundle
  }
  const total: number[] = []
  const change = { fast: [] as number[], thorough: [] as number[] }
  const whole = { fast: [] as number[], thorough: [] as number[] }
  try {
    for (let round = 0; round < rounds; round++) {
      await edit()
      total.push(await seconds(async () => change.fast.push((await refreshed()).seconds)))
      const { rows, seconds: thorough } = await composeBlueprint('apache', { reason }, work)
      change.thorough.push(thorough)
      const fast = await composeBlueprint('apache', { level: 'fast', reason }, work)
      // As if nothing had ever been woven: neither the record of it nor the blobs.
      await context.state.redis.del(keys.segments())
      for (const { digest } of [...rows, ...fast.rows]) await rm(context.store.path(digest), { force: true })
      whole.fast.push((await composeBlueprint('apache', { level: 'fast', reason }, work)).seconds)
      whole.thorough.push((await composeBlueprint('apache', { reason }, work)).seconds)
    }
  } finally {
    await writeFile(page, original)
  }
  const of = `median of ${rounds}`
  report('regenerate', [
    atMost(`one file changed → new bundle on the channel, ${of}`, 's', median(total), 0.5),
    timesLess(`weaving it, thorough level, ${of}`, 's', median(change.thorough), median(whole.thorough), 20),
    timesLess(`weaving it, fast level, ${of}`, 's', median(change.fast), median(whole.fast), 20),
  ])
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return (performance.now() - began) / 1000
}
