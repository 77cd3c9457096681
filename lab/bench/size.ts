import { blueprintNames } from '../blueprint.ts'
import { inBenchLab } from './bench-lab.ts'
import { type Weighed, writeReadme } from './blueprints-readme.ts'
import { atMost, type Measure, median, report, rounded, timesLess } from './report.ts'

/**
 * What bundles weigh: absolute at the thorough level, and against the full stack's image, both at the fast level. With
 * --readme, also writes templates/blueprints/README.md.
 */
const megabytes = (bytes: number): number => bytes / 1e6

/** Bars of those that have one of their own; together they are held to the median. */
const limits: Readonly<Record<string, { initramfs: number; together?: number; ratio: number }>> = {
  apache: { initramfs: 3.5, together: 18, ratio: 15 },
  redis: { initramfs: 7.5, ratio: 6 },
}
const medianRatio = 8

await inBenchLab(async (lab) => {
  const results: Measure[] = []
  const weighed: Weighed[] = []
  for (const blueprint of await blueprintNames()) {
    await lab.prepare(blueprint)
    const fast = await lab.compose(blueprint, { level: 'fast' })
    const full = await lab.compose(blueprint, { level: 'fast', full: true })
    const [ours, peer] = [megabytes(fast.totals.size), megabytes(full.totals.size)]
    weighed.push({
      blueprint,
      files: fast.totals.files,
      kept: fast.totals.size,
      fullFiles: fast.fullStack.files,
      full: full.totals.size,
    })
    const bar = limits[blueprint]
    const what = `${blueprint}: initramfs against the full stack's, both fast`
    results.push(
      bar
        ? timesLess(what, 'MB', ours, peer, bar.ratio)
        : { ...timesLess(what, 'MB', ours, peer, 1), bar: 'in the median' },
    )
    if (!bar) continue
    const { totals } = await lab.compose(blueprint, { level: 'thorough' })
    results.push(atMost(`${blueprint}: initramfs, thorough`, 'MB', megabytes(totals.size), bar.initramfs))
    if (bar.together === undefined) continue
    const sum = megabytes(totals.size + totals.kernel)
    results.push(atMost(`${blueprint}: kernel + initramfs, thorough`, 'MB', sum, bar.together))
  }
  const middle = rounded(median(weighed.map(({ full, kept }) => full / kept)))
  results.push({
    what: 'median of all ratios',
    unit: 'times',
    ours: middle,
    bar: `≥ ${medianRatio}`,
    holds: middle >= medianRatio,
  })
  if (process.argv.includes('--readme')) await writeReadme(weighed)
  report('size', results)
})
