import { blueprintNames } from '../blueprint.ts'
import { inBenchLab } from './bench-lab.ts'
import { type Weighed, writeReadme } from './blueprints-readme.ts'
import { goldenImage } from './golden-image.ts'
import { atMost, type Measure, median, report, rounded, timesLess } from './report.ts'

/**
 * What bundles weigh: absolute at the thorough level; against all that their stack has, and against the golden image
 * that they take the place of (golden-image.ts), at the fast level on both sides. The kernel, which is the same, counts
 * on neither; its modules count on both, as many as each carries. With --readme, also writes
 * templates/blueprints/README.md. Names of blueprints limit it to these.
 */
const megabytes = (bytes: number): number => bytes / 1e6

/** Bars of those that have one of their own, against their stack; the median of all is held to one more. */
const limits: Readonly<Record<string, { initramfs: number; together?: number; ratio?: number }>> = {
  apache: { initramfs: 3.5, together: 18, ratio: 15 },
  'apache-php': { initramfs: 12 },
  redis: { initramfs: 7.5, ratio: 6 },
}
const medianRatio = 8

await inBenchLab(async (lab) => {
  const results: Measure[] = []
  const weighed: Weighed[] = []
  const asked = process.argv.slice(2).filter((word) => !word.startsWith('--'))
  for (const blueprint of asked.length > 0 ? asked : await blueprintNames()) {
    await lab.prepare(blueprint)
    const fast = await lab.compose(blueprint, { level: 'fast' })
    const full = await lab.compose(blueprint, { level: 'fast', full: true })
    const image = await goldenImage(lab, blueprint)
    const [ours, stack, golden] = [fast.totals.size, full.totals.size, image.size + image.modules].map(megabytes)
    weighed.push({
      blueprint,
      files: fast.totals.files,
      kept: fast.totals.size,
      stack: full.totals.size,
      image: image.size + image.modules,
      withoutModules: image.size,
    })
    const bar = limits[blueprint]
    const withStack = `${blueprint}: initramfs against its whole stack, both fast`
    results.push(
      bar?.ratio
        ? timesLess(withStack, 'MB', ours!, stack!, bar.ratio)
        : { ...timesLess(withStack, 'MB', ours!, stack!, 1), bar: '–' },
    )
    const withImage = timesLess(`${blueprint}: initramfs against the golden image, both fast`, 'MB', ours!, golden!, 1)
    results.push({ ...withImage, bar: '–' })
    if (!bar) continue
    const { totals } = await lab.compose(blueprint, { level: 'thorough' })
    results.push(atMost(`${blueprint}: initramfs, thorough`, 'MB', megabytes(totals.size), bar.initramfs))
    if (bar.together === undefined) continue
    const sum = megabytes(totals.size + totals.kernel)
    results.push(atMost(`${blueprint}: kernel + initramfs, thorough`, 'MB', sum, bar.together))
  }
  const middle = (of: (one: Weighed) => number) => rounded(median(weighed.map((one) => of(one) / one.kept)))
  const times = (what: string, ours: number) => ({ what, unit: 'times', ours, bar: '–', holds: true })
  const ratio = middle(({ stack }) => stack)
  const bar = { bar: `≥ ${medianRatio}`, holds: ratio >= medianRatio }
  results.push({ ...times('median against the whole stack (no init system, nothing recommended)', ratio), ...bar })
  const image = middle((one) => one.image)
  results.push(times('median against the golden image', image))
  const without = middle(({ withoutModules }) => withoutModules)
  results.push(times('median against the golden image, none of its kernel modules counted', without))
  if (process.argv.includes('--readme')) await writeReadme(weighed)
  report('size', results)
})
