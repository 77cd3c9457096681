import Table from 'cli-table3'
import { placeOf } from '../place.ts'
import { becomeRoot } from '../root.ts'
import { inStormLab } from '../storm/lab.ts'
import { bootUnder, type Outcome, simulateUnder } from './chaos.ts'
import { conditions } from './conditions.ts'

/**
 * Every condition with 20 simulated nodes, and some with a real machine: run.ts [PART OF A CONDITION'S NAME]. Ends with
 * status 1 when a node neither came up nor said why.
 */
const wanted = conditions.filter(({ name }) => name.includes(process.argv[2] ?? ''))
const nodes = 20
const weights = { kernel: 2_000_000, initramfs: 1_000_000 }

await becomeRoot()
const place = placeOf({ name: 'bootloom-chaos' })
const progress = ({ step }: { step: string }) => console.error(`  ${step}`)
const outcomes: Outcome[] = []
const take = (outcome: Outcome) => {
  const { condition, ready, of, holds, said } = outcome
  console.error(`  ${holds ? 'holds' : 'FAILS'}: ${condition}, ${outcome.nodes}: ${ready} of ${of}`)
  for (const line of said) console.error(`    ${line}`)
  outcomes.push(outcome)
}

await inStormLab(place, { weights, progress }, async (api) => {
  for (const condition of wanted) take(await simulateUnder(place, api, condition, nodes))
})
const machines = wanted.filter(({ machine }) => machine)
if (machines.length > 0) {
  await inStormLab(place, { blueprint: 'apache', progress }, async (api) => {
    for (const condition of machines) take(await bootUnder(place, api, condition))
  })
}

const table = new Table({
  head: ['condition', 'nodes', 'ready', 'seconds', 'met on the way'],
  style: { head: [], border: [], compact: true },
})
for (const { condition, nodes, ready, of, seconds, said } of outcomes) {
  table.push([condition, nodes, `${ready}/${of}`, seconds.toFixed(1), said[0]?.slice(0, 90) ?? ''])
}
console.log(table.toString())
console.log(JSON.stringify({ chaos: outcomes }))
if (outcomes.some(({ holds }) => !holds)) process.exitCode = 1
