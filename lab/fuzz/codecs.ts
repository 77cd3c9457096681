import { isDeepStrictEqual } from 'node:util'
import { identify } from '../../src/dhcp/firmware.ts'
import { messageType } from '../../src/dhcp/options.ts'
import { DhcpPacketError, decodePacket, encodePacket } from '../../src/dhcp/packet.ts'
import { parseRange } from '../../src/http/range.ts'
import { negotiate } from '../../src/tftp/negotiate.ts'
import { decodeTftp, encodeTftp, TftpPacketError } from '../../src/tftp/packet.ts'
import { randomFrom } from '../storm/plan.ts'
import { corpus } from './corpus.ts'
import { mutate } from './mutate.ts'

export interface CodecFindings {
  readonly count: number
  /** Of these, how many were understood. */
  readonly decoded: number
  readonly seconds: number
  /** Milliseconds: the longest that one packet took, collection of garbage included. */
  readonly slowest: number
  /** Growth of the heap from a tenth of the way to the end, collected before each look. Bytes. */
  readonly growth: number
  /** What no packet may cause, with the packet as hex. */
  readonly broken: readonly { readonly what: string; readonly packet: string }[]
}

/** Bytes to value, to what the server makes of it, and for what can be written again, back to the same value. */
const codecs = {
  dhcp(bytes: Buffer): boolean {
    const packet = decodePacket(bytes)
    identify(packet)
    messageType(packet.options)
    let again: Buffer
    try {
      again = encodePacket(packet, 65_535)
    } catch (error) {
      if (error instanceof DhcpPacketError) return true
      throw error
    }
    if (!isDeepStrictEqual(decodePacket(again), packet)) throw new Error('decode ∘ encode is not the identity')
    return true
  },
  tftp(bytes: Buffer): boolean {
    const packet = decodeTftp(bytes)
    if (packet.op === 'read') negotiate(packet.options, 75_000, 1468)
    if (packet.op === 'ack' || packet.op === 'data') return true
    if (!isDeepStrictEqual(decodeTftp(encodeTftp(packet)), packet)) {
      throw new Error('decode ∘ encode is not the identity')
    }
    return true
  },
  http(bytes: Buffer): boolean {
    // The heads are read by Node; of ours is what stands in them.
    const line = /^range: *(.*)$/im.exec(bytes.toString('latin1'))?.[1]
    const range = parseRange(line, 1000)
    if (typeof range === 'object' && !(range.start >= 0 && range.start <= range.end && range.end < 1000)) {
      throw new Error(`a range of ${range.start} to ${range.end} in 1000 bytes`)
    }
    return range !== undefined
  },
} as const

const isTyped = (error: unknown) => error instanceof DhcpPacketError || error instanceof TftpPacketError

/** Throws mutants at the codecs in this process, `count` of them: two of DHCP for each of TFTP, and some of HTTP. */
export function fuzzCodecs(count: number, seed: number, onView: (done: number) => void): CodecFindings {
  const random = randomFrom(seed)
  const into = Buffer.alloc(8192)
  const broken: { what: string; packet: string }[] = []
  const mixed = ['dhcp', 'dhcp', 'dhcp', 'dhcp', 'tftp', 'tftp', 'http'] as const
  const began = performance.now()
  let [decoded, slowest] = [0, 0]
  const collected = () => {
    globalThis.gc?.()
    return process.memoryUsage().heapUsed
  }
  let heap = collected()
  for (let i = 0; i < count; i++) {
    if (i % 100_000 === 0) onView(i)
    if (i === Math.floor(count / 10)) heap = collected()
    const protocol = mixed[i % mixed.length]!
    const packets = corpus[protocol]
    const pick = () => packets[Math.floor(random() * packets.length)]!
    const bytes = into.subarray(0, mutate(pick(), pick(), into, random))
    const at = performance.now()
    try {
      if (codecs[protocol](bytes)) decoded++
    } catch (error) {
      if (!isTyped(error) && broken.length < 20) {
        broken.push({ what: `${protocol}: ${String(error)}`, packet: bytes.toString('hex') })
      }
    }
    slowest = Math.max(slowest, performance.now() - at)
  }
  const growth = collected() - heap
  return { count, decoded, seconds: (performance.now() - began) / 1000, slowest, growth, broken }
}
