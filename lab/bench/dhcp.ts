import { becomeRoot } from '../root.ts'
import { bootloom, type Contender, dnsmasq, kea, makePlace, net, removePlace, whileServing } from './dhcp-place.ts'
import { highestRate, perfdhcp, type Trial } from './perfdhcp.ts'
import { type Measure, median, report, rounded } from './report.ts'

/**
 * Four-way exchanges a second at ≤ 1 % drops, leases persisted: ours, Kea and dnsmasq in turn, each round from an empty
 * table. Usage: dhcp.ts [ROUNDS] [SECONDS OF A TRIAL] [MOST TRIALS].
 */
const rounds = Number(process.argv[2] ?? 3)
const seconds = Number(process.argv[3] ?? 5)
const trials = Number(process.argv[4] ?? 11)
/**
 * Machines that ask, over and over: a table of this size is what all three work on, for dnsmasq writes all of it anew for
 * each lease. The first exchanges of each contender fill it, and are not counted.
 */
const clients = 2000

await becomeRoot()
const place = await makePlace('bootloom-bench-dhcp')
const found = new Map<Contender, Trial[]>([bootloom, kea, dnsmasq].map((each) => [each, []]))
try {
  for (let round = 1; round <= rounds; round++) {
    for (const [contender, best] of found) {
      const start = best.at(-1)?.asked ?? contender.start
      const trial = await whileServing(place, contender, async () => {
        // Fills the table; nor is a process that has just started what it will be.
        await tell(contender, contender.filling, clients / contender.filling)
        return highestRate(start, trials, (rate) => tell(contender, rate))
      })
      if (trial) best.push(trial)
      console.error(`  round ${round}: ${contender.name} ${trial ? Math.round(trial.done) : 'nothing'}/s`)
    }
  }
} finally {
  await removePlace(place)
}

const figure = (contender: Contender) => median(found.get(contender)!.map(({ done }) => done))
report('dhcp', [against(kea, 1.3), against(dnsmasq, 30)])

async function tell(contender: Contender, rate: number, lasting = seconds): Promise<Trial> {
  const trial = await perfdhcp({
    namespace: place.client,
    interface: net.interface,
    server: net.server,
    rate,
    seconds: lasting,
    clients,
  })
  const { done, drops, delays } = trial
  const waits = delays.map((delay) => delay.toFixed(1)).join(' + ')
  console.error(
    `    ${contender.name} at ${rate}/s: ${Math.round(done)}/s, ${(drops * 100).toFixed(2)} % drops, ${waits} ms`,
  )
  return trial
}

function against(peer: Contender, bar: number): Measure {
  const [ours, theirs] = [figure(bootloom), figure(peer)]
  return {
    what: `DHCP exchanges at ≤ 1 % drops, against ${peer.name}, median of ${rounds}`,
    unit: '1/s',
    ours: rounded(ours),
    peer: rounded(theirs),
    ratio: rounded(ours / theirs),
    bar: `ratio ≥ ${bar}`,
    holds: ours / theirs >= bar,
  }
}
