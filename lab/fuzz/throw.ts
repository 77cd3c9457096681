import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { createConnection } from 'node:net'
import { messageTypes } from '../../src/dhcp/options.ts'
import { decodePacket, encodePacket } from '../../src/dhcp/packet.ts'
import { randomFrom } from '../storm/plan.ts'
import { corpus, unknownFile } from './corpus.ts'
import { type Amplification, Ledger } from './ledger.ts'
import { mutate } from './mutate.ts'

/** The process that throws mutants at the server: lives in the nodes' namespace. */

export interface ThrowPlan {
  readonly count: number
  readonly seed: number
  readonly server: string
  readonly httpPort: number
  /** Addresses of this namespace to send from. */
  readonly from: readonly string[]
}

/** Packets sent so far. */
export interface ThrowProgress {
  readonly dhcp: number
  readonly tftp: number
  readonly http: number
}

export interface ThrowReport {
  readonly dhcp: Amplification
  readonly tftp: Amplification
  readonly http: { readonly sent: number; readonly answers: number; readonly unanswered: number }
}

const literal = (host: string, _options: unknown, done: (error: null, address: string, family: number) => void) =>
  done(null, host, 4)

async function openUdp(port: number, address: string): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', lookup: literal })
  const listening = once(socket, 'listening')
  socket.bind(port, address)
  await listening
  socket.on('error', () => {})
  socket.setRecvBufferSize(4 * 1024 * 1024)
  return socket
}

/** Datagrams sent before a good question has to be answered: the server is to read them all, not to drop them. */
const burst = 48
/** So many bursts of DHCP are under way at once. */
const lanes = 16

/** Of all packets. DHCP's cost the server most: there is a lease table behind them. */
const shares = { dhcp: 0.4, tftp: 0.15, http: 0.45 }

async function throwAll(plan: ThrowPlan, onProgress: (progress: ThrowProgress) => void): Promise<ThrowReport> {
  const [dhcp, tftp] = [new Ledger(), new Ledger()]
  const http = { sent: 0, answers: 0, unanswered: 0 }
  const telling = setInterval(() => onProgress({ dhcp: dhcp.sent, tftp: tftp.sent, http: http.sent }), 1000)
  await Promise.all([
    throwDhcp(plan, Math.floor(plan.count * shares.dhcp), dhcp),
    throwTftp(plan, Math.floor(plan.count * shares.tftp), tftp),
    throwHttp(plan, Math.floor(plan.count * shares.http), http),
  ])
  clearInterval(telling)
  return { dhcp: dhcp.figures, tftp: tftp.figures, http }
}

/** An INFORM is answered whatever mutants have done to the pool. */
function informFrom(address: string): Buffer {
  const request = decodePacket(corpus.dhcp[0]!)
  const options = new Map([...request.options, [53, Buffer.of(messageTypes.inform)]] as const)
  return encodePacket({ ...request, ciaddr: address, options })
}

async function throwDhcp({ seed, from }: ThrowPlan, count: number, ledger: Ledger): Promise<void> {
  const random = randomFrom(seed + 1)
  const socket = await openUdp(68, '0.0.0.0')
  socket.setBroadcast(true)
  const onReply = new Map<number, () => void>()
  socket.on('message', (reply) => {
    if (reply.length < 8) return
    const xid = reply.readUInt32BE(4)
    ledger.answer(xid, reply.length)
    onReply.get(xid)?.()
  })
  const send = (packet: Buffer) => socket.send(packet, 67, '255.255.255.255', () => {})
  const into = Buffer.alloc(8192)
  const pick = () => corpus.dhcp[Math.floor(random() * corpus.dhcp.length)]!
  let i = 0
  const lane = async (_: unknown, number: number): Promise<void> => {
    const good = informFrom(from[number % from.length]!)
    while (i < count) {
      for (const end = Math.min(count, i + burst); i < end; i++) {
        const length = mutate(pick(), pick(), into, random)
        // A question of its own, and one of many machines: mutants alone would all be a few.
        if (length >= 34) {
          into.writeUInt32BE(i + 1, 4)
          into.writeUInt16BE(Math.floor(random() * 65_536), 32)
        }
        const packet = Buffer.from(into.subarray(0, length))
        if (length >= 8) ledger.ask(packet.readUInt32BE(4), packet)
        else ledger.sent++
        send(packet)
      }
      const xid = 0xf0000000 + i
      good.writeUInt32BE(xid, 4)
      await promised((done) => {
        onReply.set(xid, done)
        send(good)
      })
      onReply.delete(xid)
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  socket.close()
}

/** Sockets that questions are asked from. One that was answered with data rests until the server has given up on it. */
const rest = { unanswered: 1000, begun: 8000 }

async function throwTftp({ seed, server, from }: ThrowPlan, count: number, ledger: Ledger): Promise<void> {
  const random = randomFrom(seed + 2)
  const free: number[] = []
  const sockets = await Promise.all(Array.from({ length: 6000 }, (_, i) => openUdp(0, from[i % from.length]!)))
  const begun = new Set<number>()
  for (const [key, socket] of sockets.entries()) {
    free.push(key)
    socket.on('message', (reply) => {
      ledger.answer(key, reply.length, reply[1] === 3)
      if (reply[1] !== 5) begun.add(key)
    })
  }
  const release = (key: number, pause: number) =>
    setTimeout(() => {
      if (!begun.delete(key)) free.push(key)
      else setTimeout(() => free.push(key), rest.begun)
    }, pause)
  const probe = await openUdp(0, from[0]!)
  let onReply = () => {}
  probe.on('message', () => onReply())
  const into = Buffer.alloc(8192)
  const pick = () => corpus.tftp[Math.floor(random() * corpus.tftp.length)]!
  for (let i = 0; i < count; ) {
    const asked: number[] = []
    for (const end = Math.min(count, i + burst); i < end && free.length > 0; i++) {
      const packet = Buffer.from(into.subarray(0, mutate(pick(), pick(), into, random)))
      const key = free.shift()!
      ledger.ask(key, packet)
      sockets[key]!.send(packet, 69, server, () => {})
      asked.push(key)
    }
    if (free.length === 0) await new Promise((resolve) => setTimeout(resolve, 50))
    const read = await promised((done) => {
      onReply = done
      probe.send(unknownFile, 69, server, () => {})
    })
    // An answer that is late must not be taken for one to the next question from there.
    for (const key of asked) release(key, read ? rest.unanswered : rest.begun)
  }
  // What is sent again to the silent counts too.
  await new Promise((resolve) => setTimeout(resolve, rest.begun))
  for (const socket of [...sockets, probe]) socket.close()
}

/** True when `done` was called, false after a quarter of a second: the question or its answer was lost. */
function promised(ask: (done: () => void) => void): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), 250)
    ask(() => {
      clearTimeout(timer)
      resolve(true)
    })
  })
}

async function throwHttp(
  { seed, server, httpPort, from }: ThrowPlan,
  count: number,
  figures: { sent: number; answers: number; unanswered: number },
): Promise<void> {
  const random = randomFrom(seed + 3)
  const pick = () => corpus.http[Math.floor(random() * corpus.http.length)]!
  const lane = async (): Promise<void> => {
    const into = Buffer.alloc(8192)
    while (figures.sent < count) {
      // A few on one connection: what one leaves behind, the next one meets.
      const packets = Array.from({ length: Math.min(8, count - figures.sent) }, () =>
        Buffer.from(into.subarray(0, mutate(pick(), pick(), into, random))),
      )
      figures.sent += packets.length
      const got = await exchange(packets, from[Math.floor(random() * from.length)]!)
      figures.answers += got
      if (got === 0) figures.unanswered++
    }
  }
  const exchange = (packets: readonly Buffer[], localAddress: string) =>
    new Promise<number>((resolve) => {
      let answers = 0
      const socket = createConnection({ host: server, port: httpPort, localAddress })
      const end = () => {
        socket.destroy()
        resolve(answers)
      }
      const timer = setTimeout(end, 250)
      socket.on('error', () => {})
      socket.on('data', (data: Buffer) => {
        answers += data.toString('latin1').split('HTTP/1.1 ').length - 1
        if (answers >= packets.length) end()
      })
      socket.on('close', () => {
        clearTimeout(timer)
        end()
      })
      socket.on('connect', () => socket.write(Buffer.concat(packets)))
    })
  await Promise.all(Array.from({ length: 64 }, lane))
}

if (import.meta.main) {
  const plan = JSON.parse(process.argv[2]!) as ThrowPlan
  const report = await throwAll(plan, (progress) => process.send?.({ progress }))
  process.send?.({ report })
  process.disconnect()
}
