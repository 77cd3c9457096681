import { placeOf } from '../place.ts'
import { becomeRoot } from '../root.ts'
import { inStormLab } from '../storm/lab.ts'
import { storm } from '../storm/storm.ts'
import { stormTable, viewLine } from '../storm/table.ts'
import { atMost, type Measure, report, rounded } from './report.ts'

/** A rack of simulated nodes powered on within five seconds, each booting the Apache bundle: storm.ts [NODES]. */
const nodes = Number(process.argv[2] ?? 1000)

await becomeRoot()
const place = placeOf({ name: 'bootloom-bench' })
const progress = ({ step }: { step: string }) => console.error(`  ${step}`)
const result = await inStormLab(place, { blueprint: 'apache', progress }, (api) =>
  storm(place, api, { nodes, onView: (account) => console.error(`  ${viewLine(account, nodes)}`) }),
)
console.log(stormTable(result))
const { boot, control, redis } = result.usage
report('storm', [
  atLeast('nodes ready, by their own account', 'nodes', result.ready, nodes),
  atLeast('nodes ready, by the server’s account', 'nodes', result.readyByServer, nodes),
  atLeast('nodes a minute', '1/min', result.perMinute, 1000),
  atMost('server memory: boot + control, sum of peaks', 'MB', (boot.peakRss + control.peakRss) / 1e6, 300),
  { ...atMost('of that, the process that answers nodes', 'MB', boot.peakRss / 1e6, 300), bar: '–' },
  { ...atMost('beside it, Redis', 'MB', redis.peakRss / 1e6, Number.POSITIVE_INFINITY), bar: '–' },
])

function atLeast(what: string, unit: string, ours: number, least: number): Measure {
  return { what, unit, ours: rounded(ours), bar: `≥ ${least}`, holds: ours >= least }
}
