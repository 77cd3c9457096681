import { z } from 'zod'

const factors: Readonly<Record<string, number>> = { '': 1, k: 1000, M: 1_000_000, G: 1_000_000_000 }

/** A rate in bytes a second: a number, or words such as `100 MB/s`; k, M and G are powers of 1000. */
export const rate = z.union(
  [
    z.int().min(1024),
    z
      .string()
      .regex(/^\d{1,9}(\.\d{1,3})? ?[kMG]?B\/s$/)
      .transform((text) => {
        const [, number, unit] = /^([\d.]+) ?([kMG]?)B/.exec(text)!
        return Math.round(Number(number) * factors[unit!]!)
      })
      .pipe(z.int().min(1024)),
  ],
  { error: 'must be bytes a second, 1024 at least, as 100 MB/s' },
)
