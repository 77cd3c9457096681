import { createRequire } from 'node:module'

/**
 * The npm package `dhcp` as a client: prints the offer as its own decoder understands it. Its REQUEST then lacks the
 * address (option 50), which RFC 2131 §4.3.2 demands, so it is never bound.
 */
const require = createRequire(import.meta.url)
const { createClient } = require('dhcp')
const client = createClient({ mac: '52:54:00:cc:00:01', features: ['router', 'dns'] })
client.on('message', (offer: { yiaddr: string; options: Record<number, unknown> }) => {
  console.log(JSON.stringify({ yiaddr: offer.yiaddr, server: offer.options[54], lease: offer.options[51] }))
  client.close()
})
client.listen()
client.sendDiscover()
