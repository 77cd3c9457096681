import { randomInt } from 'node:crypto'
import type { Socket } from 'node:dgram'
import { messageType, messageTypes, readOption, writeOptions } from './options.ts'
import { broadcastFlag, type DhcpPacket, decodePacket, encodePacket, noAddress } from './packet.ts'
import { ports } from './reply.ts'

/** When the DISCOVER is sent, and how long answers are waited for: dnsmasq pings an address for 3 s before it offers it. */
const sendAt = [0, 1000, 2500]
const patience = 4500

/** What the vendor class of our own question says: servers of the same installation know it and keep silent. */
export const questionOf = (installation: string): string => `bootloom-question:${installation}`

export const isOwnQuestion = (request: DhcpPacket, installation: string): boolean =>
  readOption(request.options, 'vendorClass') === questionOf(installation)

/**
 * Asks as a client whether another DHCP server answers on this interface; its address, or undefined after 4.5 s of
 * silence. `socket` is bound to the interface's client port; `mac` is that interface's. The offer is not taken up.
 */
export function findOtherServer(
  socket: Socket,
  { mac, installation, own }: { readonly mac: string; readonly installation: string; readonly own: readonly string[] },
): Promise<string | undefined> {
  const xid = randomInt(2 ** 32)
  const bytes = encodePacket(question(xid, mac, installation))
  return new Promise((resolve) => {
    const timers = sendAt.map((at) =>
      // The interface may be down for now: silence is the answer then.
      setTimeout(() => socket.send(bytes, ports.server, '255.255.255.255', () => {}), at),
    )
    const end = (found: string | undefined) => {
      for (const timer of timers) clearTimeout(timer)
      socket.off('message', read)
      resolve(found)
    }
    timers.push(setTimeout(() => end(undefined), patience))
    const read = (message: Buffer, source: { address: string }) => {
      const offer = offerIn(message)
      if (!offer || offer.xid !== xid) return
      const server = readOption(offer.options, 'serverIdentifier') ?? source.address
      if (!own.includes(server)) end(server)
    }
    socket.on('message', read)
  })
}

/** An offer of an address: a ProxyDHCP server's offer is none. */
function offerIn(bytes: Buffer): DhcpPacket | undefined {
  try {
    const packet = decodePacket(bytes)
    const isOffer = packet.op === 2 && messageType(packet.options) === 'offer' && packet.yiaddr !== noAddress
    return isOffer ? packet : undefined
  } catch {
    return undefined
  }
}

const question = (xid: number, mac: string, installation: string): DhcpPacket => ({
  op: 1,
  htype: 1,
  hops: 0,
  xid,
  secs: 0,
  flags: broadcastFlag,
  ciaddr: noAddress,
  yiaddr: noAddress,
  siaddr: noAddress,
  giaddr: noAddress,
  chaddr: Buffer.from(mac.replaceAll(':', ''), 'hex'),
  sname: '',
  file: '',
  options: writeOptions({
    messageType: messageTypes.discover,
    vendorClass: questionOf(installation),
    parameterList: Buffer.of(1, 3, 54),
  }),
})
