import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { messageType, readOption, writeOptions } from '../../src/dhcp/options.ts'
import { type DhcpPacket, decodePacket, encodePacket } from '../../src/dhcp/packet.ts'
import { StageFailure } from './plan.ts'

/** How each client asks, and what it does while nobody answers: as seen on the wire and in its source. */
interface Habit {
  /** Captured packets that its own are made after. */
  readonly captured: string
  readonly without: readonly number[]
  /** Seconds until a DISCOVER or REQUEST is sent again; after the last it gives up. */
  readonly retries: readonly number[]
}

export const habits = {
  /** PXE specification 2.1 §2.2.3. Its ROM is no iPXE: neither user class nor option 175. */
  rom: { captured: 'undionly', without: [77, 175, 61], retries: [4, 8, 16, 32] },
  /** iPXE's DHCP_DISC_START_TIMEOUT_SEC 1, doubled up to DHCP_DISC_END_TIMEOUT_SEC 10. */
  ipxe: { captured: 'ipxe-bios', without: [], retries: [1, 2, 4, 8] },
  /** `udhcpc -T 1 -t 30`, as the node's init runs it. */
  os: { captured: 'udhcpc', without: [], retries: Array.from({ length: 30 }, () => 1) },
} as const satisfies Record<string, Habit>

export interface Lease {
  readonly address: string
  readonly server: string
  /** The boot file: option 67, else the header's field. */
  readonly file: string
}

/** One UDP socket on port 68 for all nodes of this process: replies find their node by the transaction id. */
export class DhcpPort {
  readonly #socket: Socket
  readonly #waiting = new Map<number, (reply: DhcpPacket) => void>()

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('error', () => {})
    socket.on('message', (bytes) => {
      const listener = bytes.length >= 8 ? this.#waiting.get(bytes.readUInt32BE(4)) : undefined
      if (!listener) return
      try {
        listener(decodePacket(bytes))
      } catch {
        // A reply damaged on its way: as good as lost.
      }
    })
  }

  static async open(): Promise<DhcpPort> {
    const socket = createSocket({ type: 'udp4', lookup: (host, _options, done) => done(null, host, 4) })
    // With such a look-up it listens before bind() returns.
    const listening = once(socket, 'listening')
    socket.bind(68, '0.0.0.0')
    await listening
    socket.setBroadcast(true)
    socket.setRecvBufferSize(4 * 1024 * 1024)
    return new DhcpPort(socket)
  }

  listen(xid: number, listener: (reply: DhcpPacket) => void): () => void {
    this.#waiting.set(xid, listener)
    return () => this.#waiting.delete(xid)
  }

  send(bytes: Buffer): void {
    this.#socket.send(bytes, 67, '255.255.255.255', () => {})
  }

  close(): void {
    this.#socket.close()
  }
}

const golden = new URL('../../test/dhcp/golden/', import.meta.url)

function captured(name: string): DhcpPacket {
  const lines = readFileSync(new URL(`${name}.hex`, golden), 'utf8').split('\n')
  return decodePacket(Buffer.from(lines.filter((line) => !line.startsWith('#')).join(''), 'hex'))
}

const templates: ReadonlyMap<string, { discover: DhcpPacket; request: DhcpPacket }> = new Map(
  Object.values(habits).map(({ captured: name }) => [
    name,
    { discover: captured(`${name}-discover`), request: captured(`${name}-request`) },
  ]),
)

/** The captured packet as this node would send it. */
function packetOf(
  habit: Habit,
  kind: 'discover' | 'request',
  mac: string,
  chosen?: { address: string; server: string },
) {
  const template = templates.get(habit.captured)![kind]
  const chaddr = Buffer.from(mac.replaceAll(':', ''), 'hex')
  const options = new Map(template.options)
  for (const code of habit.without) options.delete(code)
  if (options.has(61)) options.set(61, Buffer.concat([Buffer.of(1), chaddr]))
  if (options.has(97)) options.set(97, Buffer.concat([Buffer.alloc(11), chaddr]))
  if (chosen) {
    const { address, server } = chosen
    for (const [code, value] of writeOptions({ requestedAddress: address, serverIdentifier: server })) {
      options.set(code, value)
    }
  } else options.delete(50)
  return { ...template, chaddr, options }
}

interface Asking {
  readonly mac: string
  readonly stage: string
  readonly random: () => number
}

/** The four messages of RFC 2131 §3.1 with this client's patience. Rejects with a StageFailure when it runs out. */
export async function obtainLease(port: DhcpPort, habit: Habit, asking: Asking): Promise<Lease> {
  const xid = Math.floor(asking.random() * 2 ** 32)
  const ask = (packet: DhcpPacket, wanted: 'offer' | 'ack') => exchange(port, { ...packet, xid }, wanted, habit, asking)
  const offer = await ask(packetOf(habit, 'discover', asking.mac), 'offer')
  const server = readOption(offer.options, 'serverIdentifier')
  if (server === undefined) throw new StageFailure(asking.stage, 'an OFFER without option 54')
  const file = readOption(offer.options, 'bootFile') ?? offer.file
  // iPXE looks for a ProxyDHCP server for 3 s unless it is told not to (option 175, sub-option 176).
  const speaksToProxy = habit === habits.ipxe && !offer.options.get(175)?.includes(Buffer.of(176, 1, 1))
  if (speaksToProxy) await new Promise((resolve) => setTimeout(resolve, 3000))
  const ack = await ask(packetOf(habit, 'request', asking.mac, { address: offer.yiaddr, server }), 'ack')
  return { address: ack.yiaddr, server, file: readOption(ack.options, 'bootFile') ?? (ack.file || file) }
}

function exchange(
  port: DhcpPort,
  packet: DhcpPacket,
  wanted: 'offer' | 'ack',
  habit: Habit,
  { stage }: Asking,
): Promise<DhcpPacket> {
  const began = performance.now()
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout
    let attempt = 0
    let refused = ''
    const settle = () => {
      clearTimeout(timer)
      forget()
    }
    const forget = port.listen(packet.xid, (reply) => {
      const type = messageType(reply.options)
      if (type === wanted) {
        settle()
        resolve(reply)
      } else if (type === 'nak') {
        // iPXE goes on asking for the same and then gives up; udhcpc begins anew.
        refused = ` (NAK: ${readOption(reply.options, 'message') ?? ''})`
        if (habit !== habits.os) return
        settle()
        reject(new StageFailure(stage, `refused${refused}`))
      }
    })
    const send = () => {
      const pause = habit.retries[attempt++]
      if (pause === undefined) {
        settle()
        reject(new StageFailure(stage, `no ${wanted.toUpperCase()}${refused}`))
        return
      }
      const secs = Math.floor((performance.now() - began) / 1000) + packet.secs
      port.send(encodePacket({ ...packet, secs }))
      timer = setTimeout(send, pause * 1000)
    }
    send()
  })
}
