import { placeOf } from '../place.ts'
import { runningAs } from '../processes.ts'
import { becomeRoot } from '../root.ts'
import { inStormLab } from '../storm/lab.ts'
import { storm } from '../storm/storm.ts'
import { stormTable, viewLine } from '../storm/table.ts'
import { treesOf } from '../storm/usage.ts'
import { until } from '../wait.ts'
import { atMost, type Measure, report, rounded } from './report.ts'

/** A rack of simulated nodes powered on within five seconds, each booting the Apache bundle: storm.ts [NODES]. */
const nodes = Number(process.argv[2] ?? 1000)

await becomeRoot()
const place = placeOf({ name: 'bootloom-bench' })
const progress = ({ step }: { step: string }) => console.error(`  ${step}`)
const result = await inStormLab(place, { blueprint: 'apache', progress }, async (api) => {
  await untilIdle()
  return storm(place, api, { nodes, onView: (account) => console.error(`  ${viewLine(account, nodes)}`) })
})
console.log(stormTable(result))
const server = ['boot', 'control', 'redis'] as const
const sumOf = (of: 'peakRss' | 'peakPss') => server.reduce((sum, who) => sum + result.usage[who][of], 0) / 1e6
report('storm', [
  atLeast('nodes ready, by their own account', 'nodes', result.ready, nodes),
  atLeast('nodes ready, by the server’s account', 'nodes', result.readyByServer, nodes),
  atLeast('nodes a minute', '1/min', result.perMinute, 1000),
  // What its processes share (the program itself) is there once.
  atMost('server memory: all its processes and Redis, sum of peaks (PSS)', 'MB', sumOf('peakPss'), 300),
  toTell('the same, shared pages counted for each process (RSS)', sumOf('peakRss')),
  ...server.map((who) => toTell(`of the sum: ${who}`, result.usage[who].peakRss / 1e6)),
])

/** Once a bundle was woven, the workshop is kept for a minute: nodes are not powered on by who waits for one. */
async function untilIdle(): Promise<void> {
  const control = runningAs(place, 'control')!.pid
  const look = async () => {
    const others = treesOf([control]).length - 2
    return others <= 0 ? { found: true } : { seen: `${others} processes beside the control role and Redis` }
  }
  await until('the workshop has ended', look, { timeout: 180_000 })
}

function toTell(what: string, ours: number): Measure {
  return { ...atMost(what, 'MB', ours, Number.POSITIVE_INFINITY), bar: '–' }
}

function atLeast(what: string, unit: string, ours: number, least: number): Measure {
  return { what, unit, ours: rounded(ours), bar: `≥ ${least}`, holds: ours >= least }
}
