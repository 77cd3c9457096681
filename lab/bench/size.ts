import { inBenchLab } from './bench-lab.ts'
import { atMost, type Measure, report, timesLess } from './report.ts'

/** What a bundle weighs: absolute at the thorough level, and against the full stack's image, both at the fast level. */
const megabytes = (bytes: number): number => bytes / 1e6

const limits = {
  apache: { initramfs: 3.5, together: 18, ratio: 15 },
  redis: { initramfs: 7.5, together: undefined, ratio: 6 },
} as const

await inBenchLab(async (lab) => {
  const results: Measure[] = []
  for (const [blueprint, { initramfs, together, ratio }] of Object.entries(limits)) {
    await lab.prepare(blueprint)
    const fast = await lab.compose(blueprint, { level: 'fast' })
    const full = await lab.compose(blueprint, { level: 'fast', full: true })
    const { totals } = await lab.compose(blueprint, { level: 'thorough' })
    results.push(atMost(`${blueprint}: initramfs, thorough`, 'MB', megabytes(totals.size), initramfs))
    if (together !== undefined) {
      const sum = megabytes(totals.size + totals.kernel)
      results.push(atMost(`${blueprint}: kernel + initramfs, thorough`, 'MB', sum, together))
    }
    const [ours, peer] = [megabytes(fast.totals.size), megabytes(full.totals.size)]
    results.push(timesLess(`${blueprint}: initramfs against the full stack's, both fast`, 'MB', ours, peer, ratio))
  }
  report('size', results)
})
