import { createSocket } from 'node:dgram'
import { setTimeout as sleep } from 'node:timers/promises'
import { writeOptions } from '../../src/dhcp/options.ts'
import { decodePacket, encodePacket, noAddress } from '../../src/dhcp/packet.ts'

/**
 * So many DISCOVERs in one burst, each of a client of its own: ask-at-once.ts COUNT SERVER [RELAY]. As that relay, or as
 * clients that have no address yet. Prints what came back, one line of JSON.
 */
const [count, server, relay] = process.argv.slice(2) as [string, string, string?]
const socket = createSocket('udp4')
await new Promise<void>((resolve) => socket.bind(relay ? 67 : 68, relay ?? '0.0.0.0', resolve))
socket.setBroadcast(true)
const answers: { xid: number; client: string; address: string; bytes: number }[] = []
socket.on('message', (bytes) => {
  const { xid, chaddr, yiaddr } = decodePacket(bytes)
  answers.push({ xid, client: chaddr.toString('hex'), address: yiaddr, bytes: bytes.length })
})
for (let n = 1; n <= Number(count); n++) {
  const fields = { hops: relay ? 1 : 0, xid: n, secs: 0, flags: 0, ciaddr: noAddress, yiaddr: noAddress }
  const text = { siaddr: noAddress, giaddr: relay ?? noAddress, sname: '', file: '' }
  const chaddr = Buffer.of(2, 0, 0, 0, 0, n)
  const options = writeOptions({ messageType: 1, parameterList: Buffer.of(1, 3, 6, 15, 28) })
  socket.send(
    encodePacket({ op: 1, htype: 1, ...fields, ...text, chaddr, options }),
    67,
    relay ? server : '255.255.255.255',
  )
}
for (const began = Date.now(); answers.length < Number(count) && Date.now() - began < 5000; ) await sleep(50)
// Nor does anything come twice.
await sleep(200)
console.log(JSON.stringify(answers))
socket.close()
