import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'

/** Chances of 0 to 1 for each datagram, either way. */
export interface Faults {
  readonly loss?: number
  readonly duplication?: number
  /** Held back for a few milliseconds, so that later ones overtake it. */
  readonly reordering?: number
}

async function bound(): Promise<Socket> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return socket
}

/**
 * A way to a TFTP server that loses, repeats and reorders: clients ask its port, and are answered from there. What it does
 * to which datagram follows from a fixed seed. (Not every kernel has netem.)
 */
export async function badNetwork(server: number, faults: Faults): Promise<{ port: number; close(): void }> {
  const front = await bound()
  const ways = new Map<number, { back: Socket; to: number }>()
  let seed = 12345
  const chance = (of = 0) => {
    // Numerical Recipes' linear congruence, in 32 bits.
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    return seed / 2 ** 32 < of
  }
  const carry = (bytes: Buffer, send: () => void) => {
    // Data and acknowledgements alone: atftp gives up when an OACK comes twice, and curl asks again after 6 s only.
    const spared = bytes[1] !== 3 && bytes[1] !== 4
    if (!spared && chance(faults.loss)) return
    for (let copies = !spared && chance(faults.duplication) ? 2 : 1; copies > 0; copies--) {
      if (chance(faults.reordering)) setTimeout(send, 3)
      else send()
    }
  }
  front.on('message', async (bytes, from: RemoteInfo) => {
    let way = ways.get(from.port)
    if (!way) {
      const back = await bound()
      way = ways.get(from.port) ?? { back, to: server }
      ways.set(from.port, way)
      const own = way
      back.on('message', (answer, source) => {
        own.to = source.port
        carry(answer, () => ways.has(from.port) && front.send(answer, from.port, from.address))
      })
    }
    const { back, to } = way
    // A request always goes to the server's own port, as the client means it.
    carry(bytes, () => ways.has(from.port) && back.send(bytes, bytes[1] === 1 ? server : to, '127.0.0.1'))
  })
  return {
    port: front.address().port,
    close() {
      for (const { back } of ways.values()) back.close()
      ways.clear()
      front.close()
    },
  }
}
