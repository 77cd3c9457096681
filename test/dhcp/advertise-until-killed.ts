import { createLogger } from '../../src/config/log.ts'
import { startRouterAdvertisements } from '../../src/dhcp/router-advertisements.ts'

/** Advertises on boot0 until it is killed: MODE STATE. A line of JSON for each event. */
const [mode, state] = process.argv.slice(2)
await startRouterAdvertisements({
  interfaces: ['boot0'],
  mode: mode as 'auto',
  state: state!,
  log: createLogger({ level: 'info' }),
  lookEvery: 100,
})
setInterval(() => {}, 60_000)
