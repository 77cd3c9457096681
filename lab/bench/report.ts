import Table from 'cli-table3'

/** One measure against its bar. `ratio` is how many times better ours is; undefined where there is no peer. */
export interface Measure {
  readonly what: string
  readonly unit: string
  readonly ours: number
  readonly peer?: number
  readonly ratio?: number
  /** The bar in words, such as `ratio ≥ 15` or `≤ 3.5`. */
  readonly bar: string
  readonly holds: boolean
}

/** Prints a table, then all of it as one JSON object on the last line. */
export function report(bench: string, results: readonly Measure[]): void {
  const table = new Table({ head: ['what', 'unit', 'ours', 'peer', 'ratio', 'bar', 'holds'] })
  for (const { what, unit, ours, peer, ratio, bar, holds } of results) {
    table.push([what, unit, number(ours), number(peer), number(ratio), bar, holds ? 'yes' : 'NO'])
  }
  console.log(table.toString())
  const rows = results.map(({ peer, ratio, ...row }) => ({ ...row, peer: peer ?? null, ratio: ratio ?? null }))
  console.log(JSON.stringify({ bench, results: rows }))
}

const number = (value: number | undefined): string => (value === undefined ? '–' : String(rounded(value)))

export const rounded = (value: number): number => Number(value.toPrecision(4))

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Ours against an upper limit. */
export const atMost = (what: string, unit: string, ours: number, limit: number): Measure => ({
  what,
  unit,
  ours: rounded(ours),
  bar: `≤ ${limit}`,
  holds: ours <= limit,
})

/** Ours against the peer's: less is better, `least` times at least. */
export const timesLess = (what: string, unit: string, ours: number, peer: number, least: number): Measure => ({
  what,
  unit,
  ours: rounded(ours),
  peer: rounded(peer),
  ratio: rounded(peer / ours),
  bar: `ratio ≥ ${least}`,
  holds: peer / ours >= least,
})

/** Ours against the peer's: more is better, `least` times at least. */
export const timesMore = (what: string, unit: string, ours: number, peer: number, least: number): Measure => ({
  what,
  unit,
  ours: rounded(ours),
  peer: rounded(peer),
  ratio: rounded(ours / peer),
  bar: `ratio ≥ ${least}`,
  holds: ours / peer >= least,
})
