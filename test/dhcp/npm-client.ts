import { createRequire } from 'node:module'

/** The npm package `dhcp` as a client: prints the address that it was bound to. */
const { createClient } = createRequire(import.meta.url)('dhcp')
const client = createClient({ mac: '52:54:00:cc:00:01', features: ['router', 'dns'] })
client.on('bound', (state: { address: string }) => {
  console.log(state.address)
  client.close()
})
client.listen()
client.sendDiscover()
