import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { createConnection } from 'node:net'
import { randomFrom } from '../storm/plan.ts'
import { corpus, unknownFile } from './corpus.ts'
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

/** Of datagrams: the largest answer, and the largest sum of answers, against what was sent. */
export interface Amplification {
  readonly sent: number
  readonly answers: number
  readonly largestRatio: number
  readonly largestTotalRatio: number
  /**
   * The same of TFTP's first block: RFC 1350 has the server send 512 bytes to whoever asks without options, and only the
   * acknowledgement verifies the asker. It is no part of the other figures.
   */
  readonly firstBlock: { readonly answers: number; readonly largestRatio: number; readonly largestTotalRatio: number }
  /** The request behind the largest ratio, as hex. */
  readonly worst: string
}

export interface ThrowReport {
  readonly dhcp: Amplification
  readonly tftp: Amplification
  readonly http: { readonly sent: number; readonly answers: number; readonly unanswered: number }
}

/** Bytes sent for each question not yet forgotten, and what came back. */
class Ledger {
  sent = 0
  answers = 0
  largestRatio = 0
  largestTotalRatio = 0
  worst = ''
  firstBlock = { answers: 0, largestRatio: 0, largestTotalRatio: 0 }
  readonly #open = new Map<string | number, { readonly asked: Buffer; got: number }>()

  ask(key: string | number, packet: Buffer): void {
    this.sent++
    this.#open.delete(key)
    this.#open.set(key, { asked: Buffer.from(packet), got: 0 })
    if (this.#open.size > 8000) this.#open.delete(this.#open.keys().next().value!)
  }

  answer(key: string | number, bytes: number, isFirstBlock = false): void {
    const entry = this.#open.get(key)
    const ratio = entry ? bytes / entry.asked.length : 0
    if (entry) entry.got += bytes
    const total = entry ? entry.got / entry.asked.length : 0
    const figures = isFirstBlock ? this.firstBlock : this
    figures.answers++
    figures.largestTotalRatio = Math.max(figures.largestTotalRatio, total)
    if (ratio <= figures.largestRatio) return
    figures.largestRatio = ratio
    if (!isFirstBlock) this.worst = entry!.asked.toString('hex')
  }

  get figures(): Amplification {
    const { sent, answers, largestRatio, largestTotalRatio, firstBlock, worst } = this
    return { sent, answers, largestRatio, largestTotalRatio, firstBlock, worst }
  }
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

/** Few of TFTP: each that is answered has to be listened to until the server has given up on it. */
async function throwAll(plan: ThrowPlan): Promise<ThrowReport> {
  const [dhcp, tftp] = [new Ledger(), new Ledger()]
  const http = { sent: 0, answers: 0, unanswered: 0 }
  await Promise.all([
    throwDhcp(plan, Math.floor(plan.count * 0.7), dhcp),
    throwTftp(plan, Math.floor(plan.count * 0.05), tftp),
    throwHttp(plan, Math.floor(plan.count * 0.25), http),
  ])
  return { dhcp: dhcp.figures, tftp: tftp.figures, http }
}

async function throwDhcp({ seed }: ThrowPlan, count: number, ledger: Ledger): Promise<void> {
  const random = randomFrom(seed + 1)
  const socket = await openUdp(68, '0.0.0.0')
  socket.setBroadcast(true)
  let onReply = (_xid: number) => {}
  socket.on('message', (reply) => {
    if (reply.length < 8) return
    ledger.answer(reply.readUInt32BE(4), reply.length)
    onReply(reply.readUInt32BE(4))
  })
  const send = (packet: Buffer) => socket.send(packet, 67, '255.255.255.255', () => {})
  const into = Buffer.alloc(8192)
  const pick = () => corpus.dhcp[Math.floor(random() * corpus.dhcp.length)]!
  const good = Buffer.from(corpus.dhcp[0]!)
  for (let i = 0; i < count; ) {
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
      onReply = (answered) => answered === xid && done()
      send(good)
    })
  }
  socket.close()
}

/** Sockets that questions are asked from. One that was answered with data rests until the server has given up on it. */
const rest = { unanswered: 1000, begun: 45_000 }

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
  const release = (key: number) =>
    setTimeout(() => {
      if (!begun.delete(key)) free.push(key)
      else setTimeout(() => free.push(key), rest.begun)
    }, rest.unanswered)
  const probe = await openUdp(0, from[0]!)
  let onReply = () => {}
  probe.on('message', () => onReply())
  const into = Buffer.alloc(8192)
  const pick = () => corpus.tftp[Math.floor(random() * corpus.tftp.length)]!
  for (let i = 0; i < count; ) {
    for (const end = Math.min(count, i + burst); i < end && free.length > 0; i++) {
      const packet = Buffer.from(into.subarray(0, mutate(pick(), pick(), into, random)))
      const key = free.shift()!
      ledger.ask(key, packet)
      sockets[key]!.send(packet, 69, server, () => {})
      release(key)
    }
    if (free.length === 0) await new Promise((resolve) => setTimeout(resolve, 50))
    await promised((done) => {
      onReply = done
      probe.send(unknownFile, 69, server, () => {})
    })
  }
  // What is sent again to the silent counts too.
  await new Promise((resolve) => setTimeout(resolve, rest.begun))
  for (const socket of [...sockets, probe]) socket.close()
}

/** Resolves when `done` is called, or after a quarter of a second: the question or its answer was lost. */
function promised(ask: (done: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, 250)
    ask(() => {
      clearTimeout(timer)
      resolve()
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
  const report = await throwAll(JSON.parse(process.argv[2]!) as ThrowPlan)
  process.send?.(report)
  process.disconnect()
}
