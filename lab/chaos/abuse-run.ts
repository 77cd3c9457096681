import prettyBytes from 'pretty-bytes'
import { placeOf } from '../place.ts'
import { becomeRoot } from '../root.ts'
import { inStormLab } from '../storm/lab.ts'
import { abuses, abuseWith, smallPool } from './abuse.ts'

/**
 * Every kind of abuse while ten nodes power on: abuse-run.ts [KIND]. Ends with status 1 when one of them is
 * not served, or the server's log says nothing of the attack.
 */
const wanted = abuses.filter((abuse) => abuse.includes(process.argv[2] ?? ''))
const settings = { dhcp: { subnets: [smallPool] } }

await becomeRoot()
const place = placeOf({ name: 'bootloom-chaos' })
for (const abuse of wanted) {
  // A server of its own for each: what one leaves behind is not the other's.
  await inStormLab(place, { settings }, async (api) => {
    const outcome = await abuseWith(place, api, abuse, 10)
    const { ready, of, seconds, memory } = outcome
    console.log(
      `${abuse}: ${ready} of ${of} nodes ready in ${seconds.toFixed(1)} s; server at most ${prettyBytes(memory)}`,
    )
    console.log(`  attacker ${JSON.stringify(outcome.attacker)}; logged ${JSON.stringify(outcome.logged)}`)
    const unseen = Object.keys(outcome.logged).length === 0
    if (ready < of || outcome.attacker.overlays || unseen) process.exitCode = 1
  })
}
