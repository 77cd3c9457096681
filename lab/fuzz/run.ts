import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import prettyBytes from 'pretty-bytes'
import { placeOf } from '../place.ts'
import { becomeRoot } from '../root.ts'
import { inStormLab } from '../storm/lab.ts'
import { fuzzCodecs } from './codecs.ts'
import { fuzzWire } from './wire.ts'

/**
 * Mutants of real packets: most of them at the codecs in this process, a share of them over the wire at a running
 * server, counted apart. Ends with status 1 when something broke. The seed repeats it.
 */
const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
    /** Of 1: what goes over the wire. */
    wire: { type: 'string', default: '0.1' },
  },
})
const count = Number(values.count)
const seed = Number(values.seed)
const overWire = Math.round(count * Number(values.wire))

// Memory that is only not yet collected is no leak: the codec's loop collects before it looks.
setFlagsFromString('--expose-gc')
globalThis.gc = runInNewContext('gc') as typeof globalThis.gc

const codecs = fuzzCodecs(count - overWire, seed, (done) => {
  if (done % 1_000_000 === 0) console.error(`  codecs: ${done.toLocaleString('en')}`)
})
const rate = Math.round(codecs.count / codecs.seconds)
console.log(
  `codecs: ${codecs.count.toLocaleString('en')} mutants in ${codecs.seconds.toFixed(1)} s (${rate.toLocaleString('en')}/s), ` +
    `${codecs.decoded.toLocaleString('en')} understood; slowest ${codecs.slowest.toFixed(1)} ms; heap grew by ${prettyBytes(codecs.growth)}`,
)
for (const { what, packet } of codecs.broken) console.log(`BROKEN ${what}\n  ${packet}`)

await becomeRoot()
const place = placeOf({ name: 'bootloom-fuzz' })
let looks = 0
const wire = await inStormLab(place, { weights: { kernel: 100_000, initramfs: 100_000 } }, () =>
  fuzzWire(place, overWire, seed, ({ rss, sent: { dhcp, tftp, http } }) => {
    if (looks++ % 10 > 0) return
    const thrown = `dhcp ${dhcp.toLocaleString('en')}, tftp ${tftp.toLocaleString('en')}, http ${http.toLocaleString('en')}`
    console.error(`  wire: ${thrown}; the server holds ${prettyBytes(rss)}`)
  }),
)
const { dhcp, tftp, http, memory } = wire
const sent = dhcp.sent + tftp.sent + http.sent
console.log(
  `wire: ${sent.toLocaleString('en')} in ${wire.seconds.toFixed(1)} s, ` +
    `${wire.datagrams.read.toLocaleString('en')} datagrams read by the server, ${wire.datagrams.dropped.toLocaleString('en')} dropped; server ${wire.alive ? 'alive' : 'DEAD'}; ` +
    `memory ${prettyBytes(memory.early)} early, ${prettyBytes(memory.most)} at most, ${prettyBytes(memory.end)} at the end`,
)
for (const [name, { sent, answers, largestRatio, largestTotalRatio, firstBlock, worst }] of Object.entries({
  dhcp,
  tftp,
})) {
  console.log(
    `  ${name}: ${sent.toLocaleString('en')} sent, ${answers.toLocaleString('en')} answers; largest answer ` +
      `${largestRatio.toFixed(2)} × its question, all answers to one ${largestTotalRatio.toFixed(2)} ×`,
  )
  if (largestRatio > 3) console.log(`  worst: ${worst}`)
  if (firstBlock.answers > 0) {
    console.log(
      `    beside these, TFTP's first block to who asks without options: ${firstBlock.answers.toLocaleString('en')}, up to ` +
        `${firstBlock.largestRatio.toFixed(1)} ×, with repeats ${firstBlock.largestTotalRatio.toFixed(1)} ×`,
    )
  }
}
console.log(`  http: ${http.sent.toLocaleString('en')} sent, ${http.answers.toLocaleString('en')} answers`)
// A quarter more than early on is no trend; a leak of a hundred bytes a packet would be far more.
const flat = memory.end < memory.early * 1.25 && codecs.growth < 5_000_000
const small = dhcp.largestTotalRatio <= 3 && tftp.largestTotalRatio <= 3
const holds = wire.alive && flat && codecs.broken.length === 0 && small
console.log(JSON.stringify({ fuzz: { seed, codecs, wire }, holds }))
if (!holds) process.exitCode = 1
