import { createLogger } from '../../src/config/log.ts'
import { serverPort, startDhcp } from '../../src/dhcp/server.ts'
import { ensureSockets } from '../../src/dhcp/sockets.ts'
import { openLeases } from '../../src/state/leases.ts'
import { openState } from '../../src/state/redis.ts'

/** The DHCP server in a process of its own: serve.ts INTERFACE ADDRESS SUBNET FIRST LAST STATE. A line for each event. */
const [name, address, subnet, first, last, directory] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
  string,
]
ensureSockets([{ interface: name, port: serverPort }])
const log = createLogger({ level: 'warn' })
const state = await openState({ directory }, log)
const server = await startDhcp({
  interface: name,
  address,
  httpPort: 8080,
  settings: { mode: 'server', offerHold: 60, subnets: [{ subnet, range: [first, last], dns: [], lease: 3600 }] },
  leases: openLeases(state.redis),
  log,
  onEvent: (event) => console.log(JSON.stringify(event)),
})
console.log(JSON.stringify({ ready: process.pid }))
process.once('SIGTERM', async () => {
  await server.close()
  await state.close()
})
